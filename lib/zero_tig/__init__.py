from lib.zero_tig.losses import losses
from lib.zero_tig.model import ZeroIG, ZeroTIG
from lib.zero_tig.settings import Settings
