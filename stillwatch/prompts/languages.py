"""Which language a prompt is in: by script, and by the function words of languages that share the Latin script.

Every distinct word votes for the languages whose script or function words say so; a function word that three languages
share counts a third for each. No model, no n-grams: a prompt of three content words in Latin script is ``und``. Words
are general knowledge, from no corpus. Measured in docs/fingerprint.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import add
from typing import Final

from stillwatch.lexicon import INSTRUCTION_WORDS, STOP_WORDS

# The place in this tuple is the number on the wire: append only, and a new fingerprint version with it.
LANGUAGES: Final = (
    "und", "code", "en", "de", "fr", "es", "pt", "it", "nl", "ru", "zh", "ja", "ko", "ar", "hi", "pl", "sv", "tr", "id",
    "uk", "el", "he", "th", "vi",
)  # fmt: skip
FUNCTION_WORDS: Final[Mapping[str, str]] = {
    "de": "der die das den dem des ein eine einen einem einer eines und oder aber nicht mit von für auf aus bei nach über"
    " unter vor zum zur ist sind war wird werden wurde hat haben ich du er sie es wir ihr mein meine meinem sich auch nur"
    " noch wie was wer wann warum als dass wenn im bitte kann kannst soll mir dir mich gib schreibe erkläre diese dieser"
    " dieses folgenden zwischen durch welche welcher beim keine sowie gibt deine schreib",
    "fr": "le la les un une des du de et ou mais ne pas avec pour par sur dans sous est sont était être avoir je tu il"
    " elle nous vous ils elles mon ma mes ce cette ces qui que quoi dont où comment pourquoi aux au en plus très bien"
    " comme moi leur leurs son sa ses peux fais écris donne entre suivant suivante chaque quelle quel votre vos notre"
    " tout tous sans aussi deux faire quand donc alors si ça quels quelles peut fait",
    "es": "el la los las un una unos unas de del al y o pero no con para por sobre entre es son era ser estar tiene yo tú"
    " él ella nosotros ellos mi mis su sus este esta estos qué cómo cuál cuándo dónde porque más muy también como se lo"
    " que en cada siguiente escribe dame explica puedes hay sin dos me está están le tu esto",
    "pt": "o a os as um uma uns umas de do da dos das no na nos nas ao em e ou mas não com para por é são foi ser está eu"
    " ele ela nós seu sua este esta isso que se como mais muito também qual quais quando onde meu minha escreva você"
    " pelo pela entre sobre sem dois uma cada quem fica às aos dela dele vocês pode posso explique faça crie",
    "it": "il lo la i gli le un uno una di del dello della dei delle e o ma non con per su tra è sono era essere io tu"
    " lui lei noi che chi come perché più molto anche questo questa nel nella nei al alla mi ti si ci da dal dalla scrivi"
    " cosa quale quali sul sulla mio mia suo sua ogni dove quando dammi qualche quanto quanti ho hai siamo fare",
    "nl": "de het een en van in op met voor niet maar uit bij naar is zijn was wordt worden heeft hebben ik jij je hij"
    " zij wij we mijn dat dit die wat wie hoe waarom wanneer om te aan ook nog als dan er over door tussen kan kun schrijf"
    " geef leg deze of geen tot mij heb twee haar",
    "pl": "i w na z do nie się że jest są to jak co dla od po przez przy oraz lub ale czy ten ta tego być był jego jej"
    " mój napisz dlaczego który która które między jestem mi o za",
    "sv": "och att det som en ett är på för med av den inte till har jag du vi han hon kan om från men eller hur vad"
    " varför när skriv mig min ska var de i efter mellan också vilka",
    "tr": "ve bir bu için ile de da ne nasıl neden mi mı çok daha gibi kadar olarak olan ben sen biz var yok bana hangi"
    " arasında yaz her değil sonra ama veya",
    "id": "yang dan di ke dari untuk dengan ini itu adalah tidak saya anda kamu bagaimana apa mengapa atau pada dalam"
    " akan bisa tentang buatlah tolong sebuah jelaskan seorang antara lebih juga oleh",
    "vi": "và của là có một cho với các những không được này tôi bạn trong để như thế nào hãy về từ người",
}
# Unicode ranges of scripts that (nearly) name a language, and how much a word of theirs counts. Japanese mixes kana with
# the characters of Chinese, so kana weigh more than those.
_SCRIPTS: Final = (
    (0x0370, 0x03FF, "el", 6), (0x0400, 0x04FF, "ru", 6), (0x0590, 0x05FF, "he", 6), (0x0600, 0x06FF, "ar", 6),
    (0x0900, 0x097F, "hi", 6), (0x0E00, 0x0E7F, "th", 6), (0x3040, 0x30FF, "ja", 24), (0x3400, 0x9FFF, "zh", 6),
    (0xAC00, 0xD7AF, "ko", 6),
)  # fmt: skip
# Letters that few languages have, beside the word's other votes.
_LETTERS: Final = (
    ("ß", "de", 6), ("ä", "de", 2), ("ü", "de", 2), ("ñ", "es", 6), ("ã", "pt", 6), ("õ", "pt", 6), ("œ", "fr", 6),
    ("è", "fr", 2), ("ê", "fr", 2), ("ł", "pl", 6), ("ż", "pl", 6), ("ę", "pl", 6), ("å", "sv", 6), ("ğ", "tr", 6),
    ("ı", "tr", 6), ("ş", "tr", 6), ("і", "uk", 12), ("ї", "uk", 12), ("є", "uk", 12), ("ế", "vi", 6), ("ạ", "vi", 6),
    ("ư", "vi", 6), ("đ", "vi", 6), ("ò", "it", 4), ("ù", "it", 4),
)  # fmt: skip
_WHOLE: Final = 6  # the vote of a function word that one language alone has
_LANE_BITS: Final = 16  # a word votes at most 60 for a language, and 1,024 words vote: below 2^16
MIN_VOTES: Final = 6


def _table() -> Mapping[bytes, int]:
    """Function word → its votes, one lane a language. English goes by the lexicon's own stop words and instructions."""
    told = {language: frozenset(words.encode().split()) for language, words in FUNCTION_WORDS.items()}
    told["en"] = STOP_WORDS | INSTRUCTION_WORDS
    table: dict[bytes, int] = {}
    for word in frozenset().union(*told.values()):
        speakers = [language for language, words in told.items() if word in words]
        table[word] = reduce(add, (_lane(language, max(1, _WHOLE // len(speakers))) for language in speakers))
    return table


def _lane(language: str, votes: int) -> int:
    return votes << (_LANE_BITS * LANGUAGES.index(language))


_TABLE: Final = _table()


def language_votes(word: bytes) -> int:
    """One word's votes, a lane of 16 bits a language. Single letters say nothing: they are names of variables."""
    if len(word) < 2:
        return 0
    votes = _TABLE.get(word, 0)
    if not word.isascii():
        text = word.decode("utf-8", "replace")
        first = ord(text[0])
        votes += sum(_lane(language, n) for low, high, language, n in _SCRIPTS if low <= first <= high)
        votes += sum(_lane(language, n) for letter, language, n in _LETTERS if letter in text)
    return votes


def language_of(votes: Iterable[int]) -> str:
    """The language with the most votes, the earlier one at a tie; ``und`` below one function word's worth.

    >>> language_of(map(language_votes, b"wie ist das wetter".split()))
    'de'
    >>> language_of([])
    'und'
    """
    total = sum(votes)
    best, most = 0, MIN_VOTES - 1
    place = 0
    while total:
        count = total & 0xFFFF
        if count > most:
            best, most = place, count
        total >>= _LANE_BITS
        place += 1
    return LANGUAGES[best]
