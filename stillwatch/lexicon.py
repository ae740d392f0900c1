"""Words that the fingerprint looks for: what a prompt asks a model to be able to do, and how it asks.

The taxonomy has exactly 24 capabilities; docs/fingerprint.md describes each. A lexicon and not a classifier: it needs
no model at the edge, costs microseconds, and an operator can read why a prompt got its class. It is coarse on
purpose; a campaign shows in many prompts, never in one. Languages: English in depth, the commonest instruction words
of Chinese, Spanish, French, German, Portuguese and Russian for the classes where they are unambiguous.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice, pairwise
from typing import Final, Literal, get_args

Capability = Literal[
    "code", "debug", "math", "logic", "reason", "plan", "tools", "extract", "classify", "summary", "translate",
    "rewrite", "creative", "roleplay", "qa", "reading", "sql", "struct", "explain", "ideas", "advice", "judge",
    "domain", "chat",
]  # fmt: skip
Marker = Literal[
    "asks_reasoning",   # show the steps, think aloud: what a student model learns most from
    "asks_structured",  # JSON, a table, a schema
    "asks_persona",     # act as, you are a
    "asks_examples",    # make questions, tasks, data: the model as a generator of training sets
    "asks_judgement",   # grade, compare, score: the model as a reward model
    "asks_detail",      # exhaustive, in depth, comprehensive
    "asks_override",    # ignore the rules, no refusals
    "has_shots",        # worked examples stand in the prompt
]  # fmt: skip
CAPABILITIES: Final[tuple[Capability, ...]] = get_args(Capability)
MARKERS: Final[tuple[Marker, ...]] = get_args(Marker)
MAX_CAPABILITIES: Final = 3
MAX_MARKERS: Final = 3

# One text per class: `word`, `two_words` that stand side by side, `:n` the weight (2 when left out). 4 decides alone.
_CAPABILITY_WORDS: Final[Mapping[Capability, str]] = {
    "code": "code:4 python:4 javascript:4 typescript:4 java:4 kotlin:4 rust:3 golang:4 php:4 html:4 css:4 bash:3"
    " regex:4 function method class algorithm:3 program:3 script:2 implement:3 api array string integer loop variable"
    " compile class_that:3 function_that:4 function_to:4 react:3 nodejs:4 numpy:4 pandas:4 django:4 leetcode:4"
    " refactor:4 write_code:5 unit_tests:4 代码:5 函数:4 编程:5 程序:3 código:5 codigo:5 función:3 programme:2 fonction:3"
    " код:4",
    "debug": "debug:5 debugging:5 bug:4 bugs:4 error:3 errors:2 exception:4 traceback:5 stacktrace:5 segfault:5"
    " crash:3 crashes:3 fails failing fix:3 fix_the:3 not_working:4 doesnt_work:4 wrong_with:3 调试:5 报错:5 错误:2"
    " depurar:4",
    "math": "math:4 mathematics:4 equation:4 equations:4 solve:3 calculate:4 compute:3 arithmetic:5 algebra:5"
    " geometry:4 calculus:5 integral:4 derivative:4 probability:4 percentage:3 fraction:3 sum:2 multiply:3 divided:3"
    " triangle:3 polynomial:5 matrix:3 theorem:4 proof:3 prove:4 how_many:4 how_much:3 total:2 times_as:3 average:2"
    " square_root:5 divide:4 subtract:4 add:2 how_long:3 how_far:3 remaining:2 证明:5 题目:3 一共:4 计算:4 数学:5 方程:5 多少:2"
    " calcular:4 calcula:4 calculer:4 berechne:4 вычисли:5 ecuación:5"
    " plus:3 minus:3 percent:3 squared:4 cubed:4 multiplied:4 frac:5 sqrt:3 mathbb:5 leq:4 geq:4 cdot:4 infty:5"
    " ldots:4 integers:2 positive_integer:5 prove_that:5 real_numbers:5 primes:3 modulo:4 perimeter:4 radius:4",
    "logic": "logic:4 logical:3 valid:2 invalid:2 premise:4 premises:4 deduce:4 deductively:5 fallacy:4 puzzle:3"
    " riddle:4 boolean:4 brackets:3 implies:3 contradiction:4 syllogism:5 truth:2 liar:3 lies:2 逻辑:5 推理:3 lógica:4",
    "reason": "reasoning:4 step_by:4 rationale:4 think_through:4 analyze:2 analyse:2 causal:3 infer:3 therefore:2"
    " hypothesis:3 implications:2 chain_of:3 derive:3 why_might:3 逐步:4 分析:3 razona:4 razonamiento:5 рассуждай:5",
    "plan": "plan:3 planning:3 schedule:3 itinerary:5 roadmap:5 agenda:3 steps_to:3 strategy:3 milestones:5"
    " timeline:3 prioritize:4 workout:2 curriculum:3 budget:2 计划:4 设计:2 规划:5 planificar:5 planifier:5 itinerario:5",
    "tools": "tool:2 tools:2 function_call:5 tool_call:5 tool_use:5 browse:3 search_the:3 execute:3 terminal:3"
    " agent:3 agents:3 autonomous:4 workflow:3 automate:3 available_tools:5 click:2 remind_me:4 set_a:2 book_a:3"
    " send_an:3 turn_on:3 turn_off:3 play_the:3 call_the:3 create_a_new:2 工具:3"
    " reminder:4 reminders:4 alarm:4 timer:4 my_calendar:4 to_my:2 order_me:3",
    "extract": "extract:5 extraction:5 identify:3 identify_the:2 entities:4 entity:3 mentioned:2 find_all:4"
    " highlight:2 parse:3 from_the:1 list_the:2 keywords:3 named:2 提取:5 识别:3 找出:3 extrae:5 extraer:5 extraire:5"
    " extrahiere:5 извлеки:5"
    " list_all:3 names_of:3 pull_out:4 mentioned_in:3 extracting:5",
    "classify": "classify:5 classification:5 categorize:5 category:3 categories:3 label:3 sentiment:5 positive_or:4"
    " which_of:3 identify_which:5 whether_each:4 whether_these:4 these_are:3 each_of:2 spam:3 group_the:3 belongs:3"
    " 分类:5 归类:5 clasifica:5 classer:4 klassifiziere:5 классифицируй:5 sarcastic:3 plausible:3",
    "summary": "summarize:5 summarise:5 summary:5 tldr:5 condense:4 recap:4 main_points:4 key_points:4"
    " key_takeaways:4 in_short:3 abstract:2 shorten:3 总结:5 摘要:5 概括:5 resume:2 resumen:5 résumé:4 résume:5"
    " zusammenfassung:5 fasse:4 резюмируй:5"
    " gist:5 overview:3 outline:3 main_idea:4 one_sentence:3 summarizing:5",
    "translate": "translate:5 translation:5 translated:4 in_spanish:4 in_french:4 in_german:4 to_english:4"
    " to_spanish:4 to_french:4 to_german:4 into_english:4 into_french:4 into_spanish:4 into_chinese:4 in_chinese:3"
    " in_italian:4 do_you_say:3 to_say:4 i_say:3 you_say:3 say_hello:3 say_goodbye:4 翻译:5 翻譯:5 traduce:5 traducir:5"
    " traduire:5 traduis:5 traduza:5 übersetze:5 переведи:5 перевод:4 翻訳:5",
    "rewrite": "rewrite:5 rephrase:5 paraphrase:5 proofread:5 typos:5 grammar:4 edit:3 improve:2 reword:5 polish:3"
    " revise:4 formal:2 tone:2 correct_the:3 spelling:3 convert:2 replace:2 改写:5 润色:5 修改:3 reescribe:5 reformule:5"
    " umformulieren:5",
    "creative": "story:4 poem:5 poetry:5 haiku:5 song:2 lyrics:4 novel:3 fiction:3 fantasy:2 rhyme:4 screenplay:5"
    " short_story:5 fairy:3 verse:3 limerick:5 melody:3 slogan:4 joke:3 character:1 scene:2 dialogue:2 plot:2"
    " style_of:4 write_a:1 blog:2 creative:3 故事:4 诗歌:5 小说:4 写一:2 poema:5 cuento:5 historia:2 poème:5 gedicht:5"
    " geschichte:2 стих:4"
    " jokes:4 funny:3 tale:4 sonnet:5 ode:4 ballad:4 rap:3 monologue:5 tagline:5 letter:3 essay:3 speech:3",
    "roleplay": "act_as:5 pretend:4 roleplay:5 you_are:4 persona:3 imagine_you:4 play_the_role:4 role_of:3"
    " in_character:4 as_if:2 interviewer:3 simulate:3 acting_as:4 my_first:2 扮演:5 假设:2 假装:4 actúa:5 actua:4 imagina:3"
    " agis:4 spiel:2 представь:4"
    " impersonate:5 your_role:4 the_role:4 perspective_of:4 the_persona:5 the_voice:3 take_on:3 assume_the:3",
    "qa": "what_is:2 what_are:2 who_is:3 who_was:4 when_did:4 where_is:3 which:1 what:1 who:1 where:1 when:1"
    " capital:2 invented:3 famous:2 largest:2 什么:2 谁是:4 哪个:3 qué:2 quién:3 cuál:3 qui:2 quel:2 quelle:2 wer:2 was:0"
    " кто:3",
    "reading": "passage:5 paragraph:3 according_to:4 given_the:1 the_text:3 context:3 the_article:4 this_text:4"
    " given_this:3 reference_text:5 based_on:2 following_passage:4 the_above:2 excerpt:4 根据:3 文章:3 阅读:4 según:3"
    " selon:2",
    "sql": "sql:5 query:3 database:4 sql_table:4 select:2 join:2 postgres:5 postgresql:5 mysql:5 sqlite:5 dataset:3"
    " dataframe:5 csv:3 column:3 columns:3 rows:2 spreadsheet:4 excel:4 schema:2 mongodb:5 数据库:5 数据:3 查询:3 consulta:2",
    "struct": "json:5 yaml:5 xml:4 schema:3 format:2 in_table:4 table_with:4 table_of:4 as_table:4 table_format:4"
    " markdown:3 bullet:3 bullets:3 csv:2 key_value:4 valid_json:5 in_json:5 as_json:5 template:2 comma_separated:4"
    " 格式:3 表格:4 列表:2 formato:3",
    "explain": "explain:4 describe:3 what_does:3 mean:2 how_does:4 how_do:2 difference_between:4 concept:2 why_is:3"
    " why_do:3 why_does:3 why:2 define:4 definition:3 teach:3 compare:2 contrast:2 解释:5 描述:3 说明:3 explica:5"
    " explique:5 expliquez:5 erkläre:5 объясни:5",
    "ideas": "brainstorm:5 ideas:4 suggest:3 suggestions:3 list_of:2 give_me:2 some_good:3 names_for:4 examples_of:3"
    " five:1 ten:1 topics:2 alternatives:3 ways_to:3 things_to:3 come_up:4 生成:2 列出:3 建议:3 点子:5 ideas_for:4 sugiere:4"
    " idées:4 vorschläge:4"
    " are_some:4 list_some:4 name_some:4 name_a:3 ways_that:3 similar_to:3",
    "advice": "should_i:5 recommend:4 recommendation:4 advice:5 tips:4 how_can:2 how_to:2 best_way:4 help_me:3 my:1"
    " better_at:3 what_should:4 good_place:3 healthy:2 learn:2 start:1 improve_my:4 如何:3 怎么:3 推荐:4 consejos:5"
    " conseils:5 ratschlag:5 посоветуй:5",
    "judge": "evaluate:4 grade:4 rate:3 score:3 rank:4 critique:5 review:2 rubric:5 assess:4 better_response:5"
    " judge:4 which_is:2 compare_the:3 feedback:4 quality:2 pros:3 cons:3 fair:2 评估:5 评价:5 评分:5 evalúa:5 évaluer:5"
    " bewerte:5 оцени:5",
    "domain": "medical:4 patient:4 diagnosis:5 symptoms:4 disease:3 treatment:3 legal:4 contract:3 court:3 lawsuit:5"
    " tax:3 loan:3 invest:3 mortgage:5 insurance:4 stock:2 account:2 bank:3 credit:3 chemistry:4 physics:4 biology:4"
    " molecule:5 quantum:4 economic:3 engineering:3 patent:4 pharmacology:5 clinical:5 法律:5 医疗:5 病人:5 médico:4",
    "chat": "hello:4 hi:3 hey:3 thanks:3 thank_you:4 ok:2 okay:2 yes:2 yeah:2 yep:3 no:1 lol:4 bye:4 goodbye:4"
    " sorry:2 how_are:4 whats_up:4 s_up:3 i_think:1 sure:2 good_morning:4 nice_to:3 你好:5 谢谢:5 hola:4 gracias:4"
    " bonjour:4 merci:4 hallo:4 danke:4 привет:5 спасибо:5 haha:4 cool:2 who_made:2 your_name:3",
}
_MARKER_WORDS: Final[Mapping[Marker, str]] = {
    "asks_reasoning": "step_by reasoning rationale think_through chain_of show_your show_all explain_your why_you"
    " justify 逐步 思考 推理 razonamiento raisonnement рассуждай",
    "asks_structured": "json yaml xml csv schema markdown in_json as_json in_table table_with table_of as_table"
    " table_format bullet bullets comma_separated 格式 表格",
    "asks_persona": "act_as acting_as pretend roleplay imagine_you you_are role_of persona 扮演 actúa agis",
    "asks_examples": "training_data test_cases training_examples instruction_dataset questions_about questions_and"
    " diverse_questions new_questions new_prompts create_questions generate_questions more_examples examples_of"
    " multiple_choice dataset_of",
    "asks_judgement": "grade rate rank critique evaluate rubric assess better_response which_response judge 评分 评价",
    "asks_detail": "comprehensive exhaustive thorough thoroughly in_depth in_detail detailed elaborate as_many 详细 全面"
    " detallado détaillé ausführlich подробно",
    "asks_override": "ignore_all ignore_previous ignore_the jailbreak uncensored unfiltered no_restrictions"
    " without_refusing never_refuse bypass dan do_anything system_prompt",
    "has_shots": "example_1 example_2 few_shot input_output q_a",
}
# Said in every prompt: neither topic nor template.
STOP_WORDS: Final = frozenset(
    b"a about after again all also am an and any are aren as at be because been before being between both but by can"
    b" cant could couldn d did didn do does doesn doesnt doing don done dont during each either else even ever every"
    b" few for from further get gets getting give gives go going gone got had has have having he her here hers him"
    b" his how however i id if ii in into is isn isnt it its ive just know let lets like ll m make makes many may me"
    b" might mine more most much must my need never no nor not now of off on once one only or other our ours out over"
    b" own per please quite re s same shall she should shouldn so some still such t tell than that the their theirs"
    b" them then there these they thing things this those to too under until up us use used using ve very via want"
    b" wants was wasn wasnt way we were what when where whether which while who whom whose why will with without wont"
    b" would wouldn yet you your yours yourself".split()
)
# Said by instructions about any topic: kept in a template, left out of a topic.
INSTRUCTION_WORDS: Final = frozenset(
    b"above act acting add analyze answer answers answering appropriate ask asked asks assistant based become below"
    b" best brief briefly call called calculate choose classify common compare complete compose compute consider"
    b" considering contain contains correct create creates creating current day days describe describing design"
    b" detail detailed details determine develop difference different discuss each edit ensure essay evaluate example"
    b" examples explain explaining explanation extract false find finding first five follow following follows format"
    b" four future general generate generates generating given good great help ideas identify imagine implement"
    b" important include includes including input instruction instructions introduce kind last list lists long main"
    b" making maximum mean meaning minimum name named names new next number numbers option options order output"
    b" paragraph part parts passage people person possible problem prompt propose provide provided provides question"
    b" questions read reason reply respond response result return returns rewrite right role say second sentence"
    b" sentences several short show similar simple single solve someone something specific state step steps suggest"
    b" suggestions summarize suppose take takes task tasks text think three time times topic translate true two type"
    b" types user various ways word words work write writing written year years yes".split()
)


def _table(words_by_name: Iterable[tuple[int, str]]) -> dict[bytes, tuple[tuple[int, int], ...]]:
    """`word` or `two words` → the (class, weight) pairs that it speaks for."""
    table: dict[bytes, list[tuple[int, int]]] = {}
    for index, words in words_by_name:
        for entry in words.split():
            word, _, weight = entry.partition(":")
            table.setdefault(word.replace("_", " ").encode(), []).append((index, int(weight or 2)))
    return {word: tuple(pairs) for word, pairs in table.items()}


_CAPABILITY_TABLE: Final = _table((CAPABILITIES.index(name), words) for name, words in _CAPABILITY_WORDS.items())
_MARKER_TABLE: Final = _table((MARKERS.index(name), words) for name, words in _MARKER_WORDS.items())
_KNOWN: Final = frozenset(_CAPABILITY_TABLE) | frozenset(_MARKER_TABLE)
# First word → second word → entry.
_PAIRS: Final[dict[bytes, dict[bytes, bytes]]] = {}
for _words in sorted(entry for entry in _KNOWN if b" " in entry):
    _PAIRS.setdefault(_words.split(b" ")[0], {})[_words.split(b" ")[1]] = _words
KEPT_IN_TEMPLATES: Final = (
    INSTRUCTION_WORDS | frozenset(word for entry in _KNOWN for word in entry.split(b" "))
) - STOP_WORDS

# Instructions stand at the beginning of a prompt, or in a line of their own at its end; the rest is mostly material.
_EDGE_WORDS: Final = 16
_OWN_LINE_WORDS: Final = 48
_ENOUGH: Final = 8  # one deciding word at an edge (4 × 2)


# What an entry of the lexicon says: its first word, (capability, points) where it stands at an edge, the same inside the
# material, and its markers as bits.
_Points = tuple[tuple[int, int], ...]
Entry = tuple[bytes, _Points, _Points, int]


def _entry(words: bytes) -> Entry:
    pairs = _CAPABILITY_TABLE.get(words, ())
    near = tuple((index, 2 * weight) for index, weight in pairs)
    far = tuple((index, weight // 2) for index, weight in pairs if weight > 1)
    return words.partition(b" ")[0], near, far, sum(1 << index for index, _ in _MARKER_TABLE.get(words, ()))


_ENTRIES: Final = {words: _entry(words) for words in _KNOWN}
# By their bits: the first three in the taxonomy's order.
_FIRST_MARKERS: Final = tuple(
    tuple(name for place, name in enumerate(MARKERS) if bits >> place & 1)[:MAX_MARKERS]
    for bits in range(1 << len(MARKERS))
)
_CAPABILITY_INDEX: Final = {name: index for index, name in enumerate(CAPABILITIES)}


def entry(word: bytes) -> Entry | None:
    """What the lexicon has of a single word."""
    return _ENTRIES.get(word)


def read(
    lines: Sequence[Sequence[bytes]], entries: Iterable[Entry], cues: Mapping[Capability, int]
) -> tuple[tuple[Capability, ...], tuple[Marker, ...]]:
    """Capabilities (1..3, strongest first) and markers (0..3) of a prompt's words, lower-case UTF-8, in their lines.

    ``entries`` is what the lexicon has of these words, each word once. ``cues`` adds points that no word carries, such as
    a code fence. Equal scores stand in the taxonomy's order.
    """
    first = lines[0][:_EDGE_WORDS]
    if len(first) < _EDGE_WORDS and len(lines) > 1:
        first = list(islice(chain.from_iterable(lines), _EDGE_WORDS))
    ending = lines[-1] or next((line for line in reversed(lines) if line), ())
    last = ending[-_EDGE_WORDS:] if len(ending) <= _OWN_LINE_WORDS or ending is lines[0] else ()
    edges = {*first, *last}
    beside = {
        _PAIRS[word][follower]
        for run in (first, last)
        for word, follower in pairwise(run)
        if word in _PAIRS and follower in _PAIRS[word]
    }
    scores = {_CAPABILITY_INDEX[name]: points for name, points in cues.items()}
    marked = 0
    for head, near, far, markers in chain(entries, [_ENTRIES[words] for words in beside]):
        if head in edges:
            marked |= markers
            pairs = near
        else:
            pairs = far
        for index, points in pairs:
            scores[index] = scores.get(index, 0) + points
    told = _FIRST_MARKERS[marked]
    most = max(scores.values(), default=0)
    if most == 0:
        return ("chat",), told
    # Below what decides alone only the strongest is told.
    enough = max(_ENOUGH, most * 0.6)
    ranked = sorted([(-points, index) for index, points in scores.items() if points >= min(enough, most)])
    return tuple([CAPABILITIES[index] for _, index in ranked[: MAX_CAPABILITIES if most >= enough else 1]]), told
