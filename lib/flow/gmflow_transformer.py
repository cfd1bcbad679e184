"""Feature enhancement of GMFlow: six blocks of self- and cross-attention between the two pictures."""

import torch
from torch import Tensor, nn

from lib.flow.gmflow_windows import window_attention

NUM_BLOCKS = 6
EXPANSION = 4


class FeatureTransformer(nn.Module):
    """Features of both pictures, each having looked at itself and at the other.

    Source: fodvid sec. 5. Windows of `splits` x `splits`, shifted by half a window in every second block.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(channels) for _ in range(NUM_BLOCKS))

    def forward(self, first: Tensor, second: Tensor, *, splits: int) -> tuple[Tensor, Tensor]:
        """first, second: (B, H, W, C), the position added; returns both in the same form."""
        both = torch.cat((first, second))
        for block_idx, block in enumerate(self.layers):
            other = torch.cat(both.chunk(2)[::-1])
            both = block(both, other, splits=splits, shifted=block_idx % 2 == 1)
        enhanced_first, enhanced_second = both.chunk(2)
        return enhanced_first, enhanced_second


class Block(nn.Module):
    """Self-attention without, then cross-attention with a feed-forward net; the target is what came into the block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.self_attn = AttentionLayer(channels, feed_forward=False)
        self.cross_attn_ffn = AttentionLayer(channels, feed_forward=True)

    def forward(self, source: Tensor, target: Tensor, *, splits: int, shifted: bool) -> Tensor:
        source = self.self_attn(source, source, splits=splits, shifted=shifted)
        return self.cross_attn_ffn(source, target, splits=splits, shifted=shifted)


class AttentionLayer(nn.Module):
    """Source plus the normalised message from the target; linear maps without bias, one head."""

    def __init__(self, channels: int, *, feed_forward: bool) -> None:
        super().__init__()
        self.q_proj = nn.Linear(channels, channels, bias=False)
        self.k_proj = nn.Linear(channels, channels, bias=False)
        self.v_proj = nn.Linear(channels, channels, bias=False)
        self.merge = nn.Linear(channels, channels, bias=False)
        self.norm1 = nn.LayerNorm(channels)
        self.mlp: nn.Sequential | None = None
        if feed_forward:
            hidden = 2 * channels * EXPANSION
            self.mlp = nn.Sequential(
                nn.Linear(2 * channels, hidden, bias=False), nn.GELU(), nn.Linear(hidden, channels, bias=False)
            )
            self.norm2 = nn.LayerNorm(channels)

    def forward(self, source: Tensor, target: Tensor, *, splits: int, shifted: bool) -> Tensor:
        query, key, value = self.q_proj(source), self.k_proj(target), self.v_proj(target)
        message = self.norm1(self.merge(window_attention(query, key, value, splits=splits, shifted=shifted)))
        if self.mlp is not None:
            message = self.norm2(self.mlp(torch.cat((source, message), dim=-1)))
        return source + message
