"""The words of the tiny data, and what follows from them."""

from __future__ import annotations

from modwright.schema import Schema, Target, TargetKind

#: Words that say nothing about any label.
NEUTRAL_WORDS = (
    *("the", "my", "this", "walk", "garden", "river", "table", "bread", "morning", "letter", "music"),
    *("house", "green", "small", "quiet", "went", "saw", "near", "with", "again"),
)
#: Sentences that no moderator would stop at, to hide something among.
HARMLESS_SENTENCES = (
    "The library opens at ten on Sunday.",
    "We walked along the river and bought fresh bread.",
    "The garden was quiet in the morning.",
    "My neighbour lent me a ladder for the roof.",
    "The train left on time and the seats were comfortable.",
    "After lunch the children painted a picture of a lighthouse.",
    "Please bring the blue folder to the meeting on Thursday.",
)
#: Label to the words that make it hold.
LABEL_WORDS = {"insult": ("silly", "goose", "donkey"), "threat": ("chase", "honk", "peck")}
#: The multi-label target of the tiny data; a text without any of the words above is safe.
MODERATION = Target.create("moderation", TargetKind.MULTI_LABEL, ("insult", "threat", "safe"))
#: The single-label target of the tiny data: rude where one of the words above occurs.
TONE = Target.create("tone", TargetKind.SINGLE_LABEL, ("kind", "rude"), negative=("kind",))
TINY_SCHEMA = Schema((MODERATION, TONE))
