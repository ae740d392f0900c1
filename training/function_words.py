"""Words that stand in texts about anything, in the languages that :mod:`stillwatch.prompts.languages` tells by script.

General knowledge, from no corpus. The languages in Latin script have theirs there.
"""

from __future__ import annotations

from itertools import chain
from typing import Final

from stillwatch.prompts.languages import FUNCTION_WORDS as _LATIN

_OTHERS: Final = (
    # Russian; Chinese and Japanese in pairs of characters; Arabic; Hindi
    "и в на с к по не что как это для из от у о а но или ли же бы я ты он она мы вы они мой его её был была есть",
    "我们 你们 他们 这个 那个 什么 怎么 如何 以及 或者 因为 所以 如果 可以 一个 一些 需要 进行 没有 还是 请给 请写 请为 给我 帮我",
    "です ます した する この その ため から まで こと これ それ ください",
    "في من على إلى عن هو هي هذا هذه التي الذي أن لا ما كيف مع أو كان هل لماذا",
    "के का की में है हैं और से को पर यह वह एक क्या कैसे नहीं लिए या हो कि",
)
FUNCTION_WORDS: Final = frozenset(chain.from_iterable(words.encode().split() for words in (*_LATIN.values(), *_OTHERS)))
