"""NYUv2's classes: 894 raw labels to 40 classes to 4 super-classes, and the official split.

Source: Gupta, Arbelaez, Malik: Perceptual Organization and Recognition of Indoor Scenes from RGB-D Images, CVPR 2013
(class maps of the 40-class task); split of Silberman, Hoiem, Kohli, Fergus, ECCV 2012. Classes count from 0 here:
class 0 is wall, Gupta's 1; raw labels keep their numbers 1..894, 0 is void.
Choice: the four classes are the collapse of the forty, as in the class map's second table. The four-class labels of the
data set's authors are assigned per raw name and can differ, e.g. for floor mat, counter and sink.
"""

from lib.data.labels import VOID
from lib.errors import SpecError

NUM_RAW = 894
NUM_PICTURES = 1449

# fmt: off
CLASS_NAMES = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture",
    "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes",
    "ceiling", "books", "refridgerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard",
    "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag", "otherstructure", "otherfurniture",
    "otherprop",
)
SUPERCLASS_NAMES = ("floor", "structure", "furniture", "prop")
# of each of the 40 classes
SUPERCLASSES = (
    1, 0, 2, 2, 2, 2, 2, 1, 1, 2, 3, 1, 1, 2, 2, 1, 2, 3, 3, 3, 3, 1, 3, 2, 3, 3, 3, 1, 3, 1, 3, 2, 2, 3, 3, 2, 3,
    1, 2, 3,
)
# raw label of the classes 0..36, which come from one each
RAW_OF_CLASS = (
    21, 11, 3, 157, 5, 83, 19, 28, 59, 88, 64, 7, 80, 36, 42, 89, 169, 119, 122, 143, 141, 4, 85, 17, 172, 15,
    135, 123, 26, 45, 331, 158, 124, 24, 144, 136, 55,
)
OTHER_STRUCTURE = (  # raw labels
    8, 25, 33, 38, 51, 53, 57, 58, 62, 65, 79, 94, 104, 112, 134, 153, 215, 216, 223, 225, 238, 241, 242, 256,
    295, 301, 339, 342, 354, 363, 372, 380, 392, 408, 412, 453, 456, 463, 477, 497, 541, 550, 553, 567, 573, 582,
    591, 609, 612, 615, 642, 645, 657, 658, 659, 663, 667, 668, 686, 700, 702, 777, 778, 782, 850, 861, 868, 874,
)
OTHER_FURNITURE = (  # raw labels
    12, 43, 48, 50, 87, 106, 111, 161, 163, 174, 183, 204, 214, 219, 221, 224, 236, 262, 278, 291, 298, 313, 343,
    344, 356, 359, 373, 393, 401, 414, 418, 419, 430, 443, 444, 447, 448, 457, 458, 460, 462, 475, 479, 485, 486,
    493, 494, 498, 499, 509, 510, 515, 521, 524, 540, 549, 551, 554, 556, 558, 576, 580, 608, 625, 703, 734, 770,
    772, 797, 800, 803, 804, 813, 814, 815, 820, 829, 835, 858, 863, 882, 892,
)
TRAIN_RANGES = (  # pictures of the training split, counted from 1
    (3, 8), (10, 13), (19, 20), (22, 27), (44, 45), (48, 55), (58, 58), (64, 75), (80, 83), (92, 116), (120, 124),
    (130, 130), (135, 136), (138, 152), (156, 166), (170, 170), (177, 179), (203, 206), (213, 219), (223, 249),
    (251, 263), (265, 270), (274, 278), (286, 295), (303, 309), (313, 314), (318, 324), (336, 350), (353, 354),
    (365, 383), (391, 394), (398, 410), (415, 429), (436, 440), (449, 461), (467, 468), (478, 507), (514, 514),
    (527, 530), (534, 536), (540, 548), (552, 554), (572, 578), (584, 590), (595, 602), (608, 611), (614, 616),
    (622, 632), (639, 643), (646, 649), (652, 655), (659, 662), (665, 667), (674, 675), (682, 685), (691, 692),
    (695, 696), (700, 705), (714, 716), (719, 723), (729, 730), (735, 742), (745, 758), (788, 799), (805, 809),
    (815, 820), (824, 832), (847, 849), (853, 856), (863, 868), (872, 905), (909, 916), (920, 925), (929, 931),
    (936, 944), (948, 958), (963, 964), (968, 969), (978, 990), (996, 1000), (1005, 1009), (1013, 1020), (1024,
    1031), (1035, 1037), (1040, 1047), (1050, 1051), (1054, 1056), (1059, 1074), (1085, 1087), (1097, 1097),
    (1105, 1105), (1110, 1116), (1120, 1122), (1132, 1134), (1137, 1143), (1159, 1161), (1168, 1169), (1172,
    1173), (1177, 1178), (1185, 1191), (1197, 1200), (1213, 1215), (1221, 1225), (1231, 1232), (1236, 1246),
    (1251, 1253), (1266, 1274), (1281, 1284), (1296, 1296), (1300, 1301), (1309, 1313), (1316, 1328), (1333,
    1334), (1341, 1346), (1350, 1352), (1357, 1363), (1366, 1367), (1370, 1383), (1392, 1393), (1402, 1406),
    (1415, 1420), (1425, 1429), (1434, 1440),
)
# fmt: on


def _raw_to_class() -> tuple[int, ...]:
    classes = [CLASS_NAMES.index("otherprop")] * (NUM_RAW + 1)
    classes[0] = VOID
    for group, name in ((OTHER_STRUCTURE, "otherstructure"), (OTHER_FURNITURE, "otherfurniture")):
        for raw in group:
            classes[raw] = CLASS_NAMES.index(name)
    for idx, raw in enumerate(RAW_OF_CLASS):
        classes[raw] = idx
    return tuple(classes)


RAW_TO_CLASS = _raw_to_class()  # of each raw label 0..894
TRAIN = tuple(number for first, last in TRAIN_RANGES for number in range(first, last + 1))
TEST = tuple(number for number in range(1, NUM_PICTURES + 1) if number not in frozenset(TRAIN))


def class_names(num_classes: int) -> tuple[str, ...]:
    """Names of the 40 or the 4 classes; SpecError for another number."""
    names = {len(CLASS_NAMES): CLASS_NAMES, len(SUPERCLASS_NAMES): SUPERCLASS_NAMES}
    if num_classes not in names:
        raise SpecError(f"num_classes must be 40 or 4: got {num_classes}")
    return names[num_classes]


def to_superclasses(classes: tuple[int, ...]) -> tuple[int, ...]:
    """Super-class of each entry of a table of classes 0..39; void stays."""
    return tuple(VOID if value == VOID else SUPERCLASSES[value] for value in classes)
