"""The built-in texts in other languages: German, French, Spanish and Chinese. Data.

Templates follow :mod:`stillwatch.simulator.grammar`; ``{field}`` is the domain's name in the language, the domain's
own words stay English in quotation marks, as people who work in a field often write them.
"""

from __future__ import annotations

from typing import Final

from stillwatch.simulator.grammar import Family

# In the order of `Domain.labels`.
TONGUES: Final[tuple[str, ...]] = ("de", "fr", "es", "zh")

OPENINGS: Final[dict[str, dict[Family, tuple[str, ...]]]] = {
    "de": {
        "code": (
            "{opener}Schreibe eine Funktion in {plang} für {field}, die aus einer Liste zu „{thing}“ die {n} Einträge mit dem größten Wert „{metric}“ liefert und alles unter {k} weglässt.{closer}",
            "{opener}Mein Skript in {plang} bricht bei {k} ab, es geht um {field}: „{thing}“ ({problem}). Wo soll ich zuerst suchen? Es passiert beim Schritt „{activity}“.{closer}",
        ),
        "reasoning": (
            "{opener}{name} hat {k} Euro und gibt {percent} davon für „{thing}“ aus, es geht um {field}. Ein Stück „{thing2}“ kostet {n} Euro. Wie viele kann {name} noch kaufen?{closer}",
            "{opener}Plane „{activity}“ im Bereich {field} für {n} Wochen mit {k} Euro. Was kann mit „{thing}“ schiefgehen, und wie wirkt es auf „{metric}“?{closer}",
        ),
        "reading": (
            "{opener}Was ist im Bereich {field} der Unterschied zwischen „{thing}“ und „{thing2}“? Mir geht es um „{metric}“ in etwa {k} Fällen.{closer}",
            "{opener}Fasse kurz zusammen ({field}): Am {day} meldete {name} aus {city}, dass „{thing}“ Probleme macht ({problem}). „{activity}“ dauert {n} Tage und kostet {k} Euro.{closer}",
        ),
        "writing": (
            "{opener}Schreibe eine E-Mail an {name} in {city}: Thema {field}, „{thing}“ ({problem}), „{activity}“ verspätet sich um {n} Tage. Zeichen {k}.{closer}",
            "{opener}Schreibe einen Blogartikel über {field}, besonders über „{activity}“ und „{thing}“, mit {n} Tipps und einer Geschichte aus {city}. Höchstens {k} Wörter.{closer}",
        ),
    },
    "fr": {
        "code": (
            "{opener}Écris une fonction en {plang} pour {field} : à partir d'une liste de « {thing} », elle rend les {n} entrées avec le plus grand « {metric} » et ignore celles sous {k}.{closer}",
            "{opener}Mon script en {plang} s'arrête à la ligne {k}. Sujet : {field}, « {thing} » ({problem}). Que vérifier d'abord pendant « {activity} » ?{closer}",
        ),
        "reasoning": (
            "{opener}{name} a {k} euros et en dépense {percent} pour « {thing} » ({field}). Chaque « {thing2} » coûte {n} euros. Combien peut-on encore en acheter ?{closer}",
            "{opener}Fais un plan de {n} semaines pour « {activity} » dans le domaine {field}, budget {k} euros. Quels risques pour « {thing} » et pour « {metric} » ?{closer}",
        ),
        "reading": (
            "{opener}En {field}, quelle est la différence entre « {thing} » et « {thing2} » ? Ce qui compte est « {metric} », environ {k} cas.{closer}",
            "{opener}Résume en deux phrases ({field}) : {name}, de {city}, signale que « {thing} » pose problème ({problem}). « {activity} » prend {n} jours et coûte {k} euros.{closer}",
        ),
        "writing": (
            "{opener}Écris un courriel à {name} à {city} au sujet de {field} : « {thing} » ({problem}), « {activity} » aura {n} jours de retard. Référence {k}.{closer}",
            "{opener}Écris un article sur {field}, surtout « {activity} » et « {thing} », avec {n} conseils et une histoire à {city}, {k} mots au plus.{closer}",
        ),
    },
    "es": {
        "code": (
            "{opener}Escribe una función en {plang} para {field}: de una lista de «{thing}» devuelve las {n} entradas con mayor «{metric}» y omite las menores que {k}.{closer}",
            "{opener}Mi programa en {plang} falla en la línea {k}. Tema: {field}, «{thing}» ({problem}). ¿Qué reviso primero al hacer «{activity}»?{closer}",
        ),
        "reasoning": (
            "{opener}{name} tiene {k} euros y gasta {percent} en «{thing}» ({field}). Cada «{thing2}» cuesta {n} euros. ¿Cuántos puede comprar todavía?{closer}",
            "{opener}Haz un plan de {n} semanas para «{activity}» en {field} con {k} euros. ¿Qué riesgos hay con «{thing}» y con «{metric}»?{closer}",
        ),
        "reading": (
            "{opener}En {field}, ¿cuál es la diferencia entre «{thing}» y «{thing2}»? Me importa «{metric}», unos {k} casos.{closer}",
            "{opener}Resume en dos frases ({field}): {name}, de {city}, avisa que «{thing}» da problemas ({problem}). «{activity}» tarda {n} días y cuesta {k} euros.{closer}",
        ),
        "writing": (
            "{opener}Escribe un correo a {name} en {city} sobre {field}: «{thing}» ({problem}), «{activity}» se retrasa {n} días. Referencia {k}.{closer}",
            "{opener}Escribe un artículo sobre {field}, sobre todo «{activity}» y «{thing}», con {n} consejos y una historia de {city}, {k} palabras como máximo.{closer}",
        ),
    },
    "zh": {
        "code": (
            "{opener}请用{plang}写一个{field}方面的函数：从“{thing}”列表中返回“{metric}”最高的{n}条记录，忽略低于{k}的。{closer}",
            "{opener}我的{plang}程序在第{k}行出错，主题是{field}，“{thing}”（{problem}）。做“{activity}”时应该先检查什么？{closer}",
        ),
        "reasoning": (
            "{opener}{name}有{k}元，把其中{percent}花在“{thing}”上（{field}）。每个“{thing2}”{n}元，还能买几个？{closer}",
            "{opener}请为{field}方面的“{activity}”制定一个{n}周的计划，预算{k}元。“{thing}”和“{metric}”有什么风险？{closer}",
        ),
        "reading": (
            "{opener}在{field}中，“{thing}”和“{thing2}”有什么区别？我关心“{metric}”，大约{k}个案例。{closer}",
            "{opener}请用两句话概括（{field}）：{city}的{name}报告“{thing}”有问题（{problem}）。“{activity}”需要{n}天，费用{k}元。{closer}",
        ),
        "writing": (
            "{opener}给{city}的{name}写一封关于{field}的邮件：“{thing}”（{problem}），“{activity}”要推迟{n}天。编号{k}。{closer}",
            "{opener}写一篇关于{field}的文章，重点是“{activity}”和“{thing}”，给出{n}条建议和{city}的一个故事，不超过{k}字。{closer}",
        ),
    },
}  # fmt: skip

FOLLOW_UPS: Final[dict[str, tuple[str, ...]]] = {
    "de": ("Und wenn „{thing}“ fehlt?", "Bitte kürzer.", "Dasselbe für „{thing2}“, bitte.", "Warum? Ich hatte {k} erwartet.", "Weiter.", "Was heißt das für „{metric}“?"),
    "fr": ("Et si « {thing} » manque ?", "Plus court, s'il te plaît.", "La même chose pour « {thing2} ».", "Pourquoi ? J'attendais {k}.", "Continue.", "Quel effet sur « {metric} » ?"),
    "es": ("¿Y si falta «{thing}»?", "Más corto, por favor.", "Lo mismo para «{thing2}».", "¿Por qué? Esperaba {k}.", "Sigue.", "¿Qué efecto tiene en «{metric}»?"),
    "zh": ("如果没有“{thing}”呢？", "请再简短一点。", "“{thing2}”也请写一份。", "为什么？我以为是{k}。", "继续。", "这对“{metric}”有什么影响？"),
}  # fmt: skip

# Openers and closers of each language; the other slots are shared with English.
OPENERS: Final[dict[str, tuple[str, ...]]] = {
    "de": ("", "Hallo! ", "Guten Tag, ", "Kurze Frage: ", "Bitte hilf mir. ", "Guten Morgen. ", "Noch etwas: ", "Also, "),
    "fr": ("", "Bonjour ! ", "Salut, ", "Petite question : ", "Aide-moi s'il te plaît. ", "Encore une chose : ", "Bonsoir. ", "Alors, "),
    "es": ("", "¡Hola! ", "Buenos días, ", "Una pregunta: ", "Ayúdame, por favor. ", "Otra cosa: ", "Buenas tardes. ", "A ver, "),
    "zh": ("", "你好！", "您好，", "请教一下：", "请帮帮我。", "还有一个问题：", "早上好。", "麻烦了，"),
}  # fmt: skip
CLOSERS: Final[dict[str, tuple[str, ...]]] = {
    "de": ("", " Danke!", " Bitte kurz.", " Denke Schritt für Schritt.", " Erkläre deine Überlegung.", " Ohne Einleitung.", " Mit Beispiel.", " Als JSON, bitte."),
    "fr": ("", " Merci !", " Sois bref.", " Réfléchis étape par étape.", " Explique ton raisonnement.", " Sans introduction.", " Avec un exemple.", " En JSON, merci."),
    "es": ("", " ¡Gracias!", " Sé breve.", " Piensa paso a paso.", " Explica tu razonamiento.", " Sin introducción.", " Con un ejemplo.", " En JSON, por favor."),
    "zh": ("", "谢谢！", "请简短。", "请一步一步思考。", "请说明推理过程。", "不要开场白。", "请举例。", "请用JSON回答。"),
}  # fmt: skip
