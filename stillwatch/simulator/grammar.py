"""What people ask a model to do: 36 kinds of task in four families, as templates over a domain's vocabulary. Data.

A template names slots in braces. ``{thing}``, ``{role}``, ``{activity}``, ``{problem}`` and ``{metric}`` come from the
domain (a ``2`` behind the name means another one than the first), the rest from :data:`SLOTS`; ``[a|b|c]`` is one of
several wordings. ``{context}`` and ``{aside}`` are sentences of :data:`CONTEXTS` and :data:`ASIDES` about the domain:
prompts then resemble each other by what they are about more than by their template. ``{opener}`` and ``{closer}`` hold
the politeness, the wishes about form and the requests to show the reasoning: honest people and attackers get them at
the same rate, so that no phrase gives anybody away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Family = Literal["code", "reasoning", "reading", "writing"]


@dataclass(frozen=True, slots=True)
class TaskKind:
    """``output_tokens`` is the median length of an answer: orders of magnitude, not measurements."""

    name: str
    family: Family
    output_tokens: int
    templates: tuple[str, ...]


SLOTS: Final[dict[str, tuple[str, ...]]] = {
    "opener": (
        "", "Hi! ", "Hello, ", "Please help me. ", "Quick one: ", "I need some help with {field}. ", "Hey, ", "Well, ",
        "I work in {field}. ", "For a course on {field}: ", "One more thing. ", "OK so ",
    ),
    "closer": (
        "", " Thanks!", " Keep it short.", " Think step by step.", " Explain your reasoning.", " Be precise.",
        " Please answer as JSON.", " No preamble.", " Mention any assumption.", " Include an example.",
        " I have about ten minutes.", " Use simple words.", " Show your work before the final answer.", " Thank you.",
    ),
    "format": ("JSON", "a Markdown table", "bullet points", "plain prose", "CSV", "numbered steps", "YAML", "one line"),
    "tone": ("kind", "formal", "witty", "urgent", "plain", "calm", "bold", "dry", "warm", "blunt"),
    "audience": ("beginners", "executives", "a ten-year-old", "colleagues", "new hires", "experts", "students",
                 "the general public", "my manager", "a sceptical customer"),
    "length": ("in 50 words", "in one paragraph", "in three sentences", "in about 200 words", "on one page",
               "in five bullets", "in a single tweet", "in 400 words"),
    "plang": ("Python", "TypeScript", "Go", "Rust", "Java", "C++", "C#", "Kotlin", "Ruby", "R", "Swift", "PHP"),
    "sql": ("PostgreSQL", "MySQL", "SQLite", "BigQuery", "Snowflake", "SQL Server"),
    "tongue": ("German", "French", "Spanish", "Japanese", "Portuguese", "Italian", "Chinese", "Polish", "Arabic"),
    "name": ("Anna", "Ben", "Chidi", "Daniela", "Emre", "Fatima", "George", "Hana", "Ivan", "Julia", "Kofi", "Lena",
             "Mateo", "Nadia", "Omar", "Priya", "Quentin", "Rosa", "Sven", "Tara", "Umar", "Vera", "Wei", "Yuki"),
    "city": ("Lisbon", "Oslo", "Nairobi", "Osaka", "Denver", "Lima", "Warsaw", "Perth", "Montreal", "Leeds", "Pune",
             "Austin", "Ghent", "Cork", "Turin", "Busan"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "month": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
              "November", "December"),
    "n": tuple(str(number) for number in range(2, 41)),
    "k": tuple(str(number) for number in range(100, 1_000)),
    "percent": tuple(f"{number}%" for number in range(3, 98)),
}  # fmt: skip

# Sentences with at most one slot, before and after the request. Each is drawn as often as its slot has words.
CONTEXTS: Final[tuple[str, ...]] = (
    "It is about the {thing}. ", "My {thing} again. ", "The {thing} is new to me. ", "We are {activity}. ",
    "I have trouble with {activity}. ", "The {metric} worries me. ", "I talked to our {role}. ", "Topic: {thing}. ", "",
)  # fmt: skip
ASIDES: Final[tuple[str, ...]] = (
    " We tried {activity} before.", " Our {role} should agree.", " The {thing} is not affected.",
    " The {metric} has to stay.", " Later I will deal with the {thing}.", " I know little about {activity}.", "",
)  # fmt: skip

KINDS: Final[tuple[TaskKind, ...]] = (
    TaskKind("function", "code", 350, (
        "{opener}{context}[Write|Create|I need|Give me] a {plang} function for the {thing}: it [takes|gets] a list of [records|rows|entries] and [returns|yields] the {n} with the [highest|lowest] {metric}, [skipping|ignoring] any below {k}.{aside}{closer}",
        "{opener}{context}[I want|Build|Sketch] a small {plang} class for the {thing} with methods for {activity} and for [reporting|printing|storing] the {metric}. [Raise an error|Fail loudly] when it [exceeds|passes] {k}.{aside}{closer}",
    )),
    TaskKind("debugging", "code", 300, (
        "{opener}{context}[My|Our] {plang} script for {activity} [stopped working|broke|hangs] [after|at] line {k}: the {thing} {problem}. [What should I check first|Where do I start|Any idea]?{aside}{closer}",
        "{opener}{context}The {thing} {problem} and the {metric} is [wrong|off] afterwards. [Find the bug|What is wrong] in this {plang} loop:\n\nfor item in load_{n}():\n    update(item, limit={k})\n\n{aside}{closer}",
        "{opener}{context}While {activity} we [see|get|hit] error {k}. The {role} says that the {thing} {problem}. How do I [debug|trace|reproduce] it in {plang}?{aside}{closer}",
    )),
    TaskKind("sql", "code", 200, (
        "{opener}{context}[Write|I need] a {sql} query that [finds|lists|shows] every {thing} whose {metric} [grew|fell|changed] by more than {percent} in {month}, limit {k}. Tables: items(id, kind, owner), [readings|history|samples](item_id, day, value).{aside}{closer}",
        "{opener}{context}How [do I|can we] speed up a {sql} query that joins the {thing} with the {thing2} [on day and owner|by id]? It returns {k} rows [and takes|in] {n} seconds.{aside}{closer}",
    )),
    TaskKind("unit_tests", "code", 450, (
        "{opener}{context}[Generate|Write|Suggest] {n} [unit tests|test cases|tests] in {plang} for [code|a function|a module] that [validates|parses|updates] the {thing}. Cover the case where it {problem} and [a limit of|values above] {k}.{aside}{closer}",
    )),
    TaskKind("refactoring", "code", 400, (
        "{opener}{context}The {thing} code mixes {activity} with [logging of|printing] the {metric}. [Refactor|Clean up|Simplify] this {plang}:\n\ndef run(x, cap={k}):\n    y = prepare(x)\n    if y > {n}:\n        print('the {thing} {problem}')\n    return y{aside}{closer}",
    )),
    TaskKind("regex", "code", 120, (
        "{opener}{context}[I need|Give me|Write] a {plang} [regex|pattern|regular expression] for a log about the {thing}: it [matches|finds] codes like {k}-{n}, [but not|except] when the line [mentions|contains] the {thing2}.{aside}{closer}",
    )),
    TaskKind("configuration", "code", 300, (
        "{opener}{context}[Give me|Write|Show me] a [config|settings file|YAML file] for {activity}: the {thing} must [restart|stop|retry] after {n} failures and [alert|page|notify] the {role} when the {metric} [passes|exceeds] {k}.{aside}{closer}",
    )),
    TaskKind("code_review", "code", 350, (
        "{opener}{context}[Review|Look at|Comment on] a {plang} change to the {thing}: it renames the {thing2}, adds a [retry|timeout|delay] of {n} seconds and [drops|moves] the check for {k} because it {problem}. [What would you object to|Is it safe|Would you merge it]?{aside}{closer}",
    )),
    TaskKind("api_design", "code", 500, (
        "{opener}{context}[Design|Propose|Outline] an HTTP API in {plang} for {activity}. A {role} [should be able to|wants to|must] list each {thing}, [filter|sort] by {metric} and page through {k} [results|items], {n} at a time.{aside}{closer}",
    )),
    TaskKind("word_problem", "reasoning", 250, (
        "{opener}{context}{name} has {k} [euros|dollars|credits] and [spends|uses] {percent} of it on the {thing}. Each {thing2} costs {n}. How many can {name} [still buy|afford]?{aside}{closer}",
        "{opener}{context}{activity} [takes|needs] {n} days with {k} units of the {thing}. If the {metric} [improves|drops] by {percent}, how [long|many days] does it [take|need]?{aside}{closer}",
    )),
    TaskKind("multi_step_reasoning", "reasoning", 500, (
        "{opener}{context}The {thing} {problem}, but only [when we are|while|after] {activity}. {name} [changed|replaced|moved] the {thing2} on {day} and since then the {metric} is {percent} lower. What is the [most likely|real] cause, and how would you [rule out|exclude] the others?{aside}{closer}",
        "{opener}{context}If the {thing} is [replaced|improved], the {metric} rises by {percent}; if the {thing2} is [replaced|improved] as well, it falls by {n} points. Budget: {k}. Which [order|option] would you choose[ and why|]?{aside}{closer}",
    )),
    TaskKind("planning", "reasoning", 600, (
        "{opener}{context}[Make|Draft|I need] a plan for {activity} in {n} weeks with [a budget of|at most] {k} euros. {name} is the only {role}, and the {thing} must be [ready|finished|done] by {month}.{aside}{closer}",
        "{opener}{context}We [start|begin] {activity} on {day} in {city}. [List the steps|Who does what], and what can go wrong with the {thing}? We have {n} people and {k} hours.{aside}{closer}",
    )),
    TaskKind("decision", "reasoning", 400, (
        "{opener}{context}[Should I choose|Would you take|I hesitate between] the {thing} or the {thing2} for {activity}? The {metric} [matters most|is what counts] to me, I have {k} euros, and the first one {problem}.{aside}{closer}",
    )),
    TaskKind("estimation", "reasoning", 250, (
        "{opener}{context}[Estimate|Guess|What is] the {metric} of the {thing} in {city} if [about|roughly] {k} people use it and {percent} of them [return|come back] every {day}?{aside}{closer}",
    )),
    TaskKind("logic_puzzle", "reasoning", 350, (
        "{opener}{context}[Puzzle|Riddle]: {name} and {n} [others|friends] each own one {thing}. Whoever is {activity} on {day} does not own the {thing2}. The [door|box] says {k}. Who can not be the {role}?{aside}{closer}",
    )),
    TaskKind("proof", "reasoning", 450, (
        "{opener}{context}[Prove or refute|Show|Is it true]: if the {metric} of the {thing} never exceeds {k}, then after {n} [rounds|repetitions] of {activity} it is at most {percent} of the {metric2}.{aside}{closer}",
    )),
    TaskKind("root_cause", "reasoning", 400, (
        "{opener}{context}Since {day} the {thing} {problem}. The {metric} [went|moved] from {k} to {n} and the {role} in {city} [sees|reports] the same. [Give me a ranked list of|What are the likely] causes[ of this|]?{aside}{closer}",
    )),
    TaskKind("tool_use", "reasoning", 150, (
        "{opener}{context}Find the {thing} number {k}, check whether its {metric} is above {n} and, if it {problem}, leave a note for {name}. [You can call|Tools]: search(query), read(id), write(id, text).{aside}{closer}",
        "{opener}{context}Use the tools: open [case|file|ticket] {k}, compare the {thing} with the {thing2}, [schedule|book] {activity} on {day} and [tell|inform] the {role}.{aside}{closer}",
    )),
    TaskKind("extraction", "reading", 150, (
        "{opener}{context}[Extract|Pull out|List] names, dates and amounts as {format}: 'On {day} {name}, our {role} in {city}, [reported|wrote] that the {thing} {problem}. Replacing it costs {k} euros; {activity} takes {n} days.'{aside}{closer}",
        "{opener}{context}Which [values|figures] are given for the {metric} here? 'In {month} we [measured|saw] {k} for the {thing} and {percent} less for the {thing2}, [according to|said] {name}.' Answer as {format}.{aside}{closer}",
    )),
    TaskKind("summarisation", "reading", 180, (
        "{opener}{context}[Summarise|Sum up|Shorten] this {length} for {audience}: The {role} in {city} [started|began] {activity} in {month}. At first the {thing} [worked well|looked fine], and the {metric} rose by {percent}. Then it [turned out|became clear] that the {thing2} {problem}. {name} proposed to wait for {n} weeks, but the others [preferred|chose] {activity2}.{aside}{closer}",
        "{opener}{context}[Key points|Main points|The gist] of these notes {length}, please. - {name}: the {thing} {problem} - {metric} now {k} - next: {activity} - the {role} wants the {thing2} by {day}{aside}{closer}",
    )),
    TaskKind("classification", "reading", 40, (
        "{opener}{context}[Classify|Label] the message as complaint, question, praise or spam: '[Dear team|Hello], your {thing} {problem} since {day}. I paid {k} euros and the {role} never [called|wrote] back. {name}, {city}'.{aside}{closer}",
        "{opener}{context}[Sort|Split|Group] these into two groups and name [the groups|them]: {thing}, {thing2}, {activity}, {metric}, {role}, ticket {k}, item {n}.{aside}{closer}",
    )),
    TaskKind("sentiment", "reading", 60, (
        "{opener}{context}'I have [used|owned|had] the {thing} for {n} months. The {metric} is [great|fine], though it {problem}. For {k} euros I would expect more. {name}' - is this review [positive, negative or mixed|good or bad]?{aside}{closer}",
    )),
    TaskKind("translation", "reading", 150, (
        "{opener}{context}Translate into {tongue}, {tone} in tone: 'The {thing} {problem}, so {activity} is [postponed|moved] to {day}. Please [send|give] the {metric} to {name} in {city}.'{aside}{closer}",
        "{opener}{context}How would a {role} [say|put] this in {tongue}? 'We need {k} more of the {thing} before {month}, [otherwise|or] the {metric} drops by {percent}.'{aside}{closer}",
    )),
    TaskKind("question_answering", "reading", 250, (
        "{opener}{context}What is the difference between the {thing} and the {thing2}, and which [one|of them] [affects|changes] the {metric} more when {activity} in {month}? [About|Some] {k} cases a year.{aside}{closer}",
        "{opener}{context}[Explain|Tell me|Describe] why the {thing} sometimes {problem} and what an good {role} does about it. [Audience|Readers]: {audience}. Length: {length}. My case has number {k}.{aside}{closer}",
        "{opener}{context}Is it true that {activity} [changes|lifts|lowers] the {metric} by up to {percent}? I read it in [an article|a post|a report] of {month} about the {thing}, page {k}.{aside}{closer}",
    )),
    TaskKind("comparison", "reading", 350, (
        "{opener}{context}[Compare|Weigh up] the {thing} and the {thing2} by {metric}, price ({k} against {n}00 euros) and [effort|time] for {activity}. {format}, please.{aside}{closer}",
    )),
    TaskKind("table", "reading", 220, (
        "{opener}{context}{name} checked the {thing} ({k}, {percent}), the {role} checked the {thing2} ({n}, pending), and {activity} [follows|is next] on {day}. [Turn this into|Show it as|Format it as] {format}.{aside}{closer}",
    )),
    TaskKind("fact_check", "reading", 200, (
        "{opener}{context}'In {month}, the {thing} [always|often] {problem}. {activity} needs at least {n} people, and the {metric} can not exceed {k}.' [Check this text for mistakes|What is wrong here|True or false]?{aside}{closer}",
    )),
    TaskKind("email", "writing", 220, (
        "{opener}{context}[Write|Draft|Compose] a {tone} [email|message|letter] to {name}, our {role} in {city}: the {thing} {problem}, {activity} is late by {n} days, and I [would like|want] a call on {day}. Reference {k}.{aside}{closer}",
    )),
    TaskKind("article", "writing", 800, (
        "{opener}{context}[Write|Draft] a [blog post|column|article] about {activity} for {audience}, {length}, {tone} in tone. Mention the {thing}, the {metric} and [one story|an anecdote] from {city}. Working title: {k} days with the {thing2}.{aside}{closer}",
    )),
    TaskKind("story", "writing", 900, (
        "{opener}{context}[Write|Tell me|Invent] a [short story|tale|scene] {length} in which {name}, a retired {role} from {city}, [finds out|learns] on a {day} that the {thing} {problem}. Let the number {k} matter in the end.{aside}{closer}",
    )),
    TaskKind("roleplay", "writing", 200, (
        "{opener}{context}[Play|Act as|Pretend to be] an good {role} called {name}. I am a [client|visitor|friend] from {city} whose {thing} {problem}. [Ask me questions one at a time|Interview me], stay {tone}, and use case number {k}.{aside}{closer}",
    )),
    TaskKind("marketing_copy", "writing", 160, (
        "{opener}{context}[Give me|Write|Find] {n} {tone} [slogans|taglines|headlines] for a service that makes {activity} easy for {audience}. The selling point is the {metric}; [avoid|leave out] the words {thing} and {thing2}. Client code {k}.{aside}{closer}",
    )),
    TaskKind("rewrite", "writing", 160, (
        "{opener}{context}[Rewrite|Rephrase|Polish] this so that it sounds {tone}: '[Hello|Hi|Dear] {name}, the {thing} {problem} again. I told the {role} on {day} that {activity} needs {n} days. Case {k}.'{aside}{closer}",
    )),
    TaskKind("lesson", "writing", 700, (
        "{opener}{context}[Prepare|Plan|Outline] a [lesson|workshop|class] of {n} minutes on {activity} for {audience} in {city}: goals, [an exercise|a game] with the {thing}, and a [quiz|test] of {k} points about the {metric}.{aside}{closer}",
    )),
    TaskKind("brainstorming", "writing", 400, (
        "{opener}{context}[Brainstorm|Collect|Give me] {n} [ideas|ways] to improve the {metric} of the {thing} without {activity}. Our {role}, {name}, has {k} euros, and the {thing2} must [stay|remain].{aside}{closer}",
    )),
    TaskKind("speech", "writing", 500, (
        "{opener}{context}[Draft|Write] a {tone} [speech|toast|eulogy] {length} for {name}: {n} years as our {role} in {city}, famous for the day when the {thing} [failed|was lost] and room {k} was full of people {activity}.{aside}{closer}",
    )),
)  # fmt: skip

FOLLOW_UPS: Final[tuple[str, ...]] = (
    "And what if the {thing} {problem}?",
    "Can you make that shorter, {length}?",
    "Please give the same for the {thing2}.",
    "How does this change the {metric}?",
    "Why? I expected about {k}.",
    "Now in {format}, please.",
    "Make it more {tone} and mention the {thing}.",
    "I do not understand the part about {activity}. Can you explain it to {audience}?",
    "That did not work, the {thing} still {problem}.",
    "Continue.",
    "Thanks! One more question: what would an good {role} do about the {thing2}?",
    "What are the risks of {activity} in {month}?",
    "Use {n} instead of {k} and show the steps again.",
    "Is there an alternative to the {thing}?",
    "Translate your answer into {tongue}.",
    "Give me {n} examples with the {metric}.",
)
