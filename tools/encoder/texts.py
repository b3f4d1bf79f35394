"""Sentences and made-up words that the synthetic voices read.

Written for this project. Made-up words spread the phones of a language more evenly
than sentences do, and cost nothing.
"""

import numpy as np

SENTENCES: dict[str, list[str]] = {
    "en": [
        "The quick grey fox jumped over a lazy brown dog by the river.",
        "She measured the azure vase with usual pleasure and great leisure.",
        "Joyful judges enjoy huge jars of orange marmalade on Thursdays.",
        "Both of those thin brothers thought the weather rather rough.",
        "Why would anyone choose a wooden chair when the new couch looks good?",
        "Five vivid waves washed over the small village before noon.",
        "Hungry youngsters sing long songs while walking along the avenue.",
        "A cheap watch, a church bell and a fresh fish were found beneath the bush.",
        "Please push the button twice and wait until the yellow light turns off.",
        "Eight strange guests asked whether the boat had already sailed.",
        "Our house is out of town, about an hour from the power station.",
        "Boys enjoy noisy toys, but oil spoils the soil around the point.",
        "Sixty-seven splendid trucks crept through the crowded streets.",
        "The early bird heard the nurse search for a purple shirt.",
        "Never trust a calm sea, said the old captain, and he pulled his cap down.",
        "Put the cups, the books and the sugar on the upper shelf.",
        "Is this the last bus to the hospital? I have to be there by half past ten.",
        "My uncle's garden grows beans, potatoes, garlic and a few wild strawberries.",
    ],
    "es": [
        "El perro de San Roque no tiene rabo porque Ramón se lo ha robado.",
        "La niña pequeña soñaba con un castillo lleno de guitarras y jazmines.",
        "Mañana lloverá en las montañas y el viento soplará desde el norte.",
        "Juan y Jorge viajaron juntos a Guadalajara en el mes de junio.",
        "¿Quién quiere queso fresco con chorizo y un vaso de agua fría?",
        "Cada vez que voy a la ciudad compro zapatos, libros y flores amarillas.",
        "Ocho chicos muchachos fueron a la playa y volvieron muy tarde.",
        "Un buey gordo bebe agua debajo del puente viejo.",
    ],
    "fr": [
        "Un bon vin blanc se boit frais, dans un grand verre, avec des amis.",
        "La lune brille sur les feuilles du jardin et le vent souffle doucement.",
        "Je voudrais deux baguettes, un peu de beurre et une tarte aux prunes.",
        "Le chien du voisin aboie chaque jour depuis huit heures du matin.",
        "Il pleut souvent en Bretagne, mais la mer y est toujours belle.",
        "Où sont les clés de la voiture que tu as garée devant le cinéma ?",
        "Vingt jeunes gens marchaient lentement le long du quai brumeux.",
        "Cette montagne enneigée semble toucher le ciel gris.",
    ],
    "de": [
        "Der fröhliche Junge läuft jeden Tag über die schöne grüne Wiese.",
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
        "Ich möchte bitte ein Stück Kuchen und eine Tasse heißen Kaffee.",
        "Die Vögel zwitschern früh am Morgen, wenn die Sonne aufgeht.",
        "Wir gehen heute Abend ins Kino, obwohl es draußen regnet.",
        "Fünf hübsche Häuser stehen neben der alten Kirche am Fluss.",
        "Pfeffer, Salz und Zwiebeln gehören in jede gute Suppe.",
    ],
    "pt": [
        "O menino comeu pão com manteiga e bebeu um copo de leite quente.",
        "Amanhã vamos à praia se não chover durante a manhã.",
        "A minha irmã trabalha numa fábrica de chocolate perto do rio.",
        "Os cães ladram muito quando o carteiro passa pela rua.",
        "João e Inês não conhecem ninguém nesta cidade grande.",
    ],
    "ru": [
        "Мама мыла раму, а папа читал газету у открытого окна.",
        "Широкая река медленно течёт через зелёный лес и поле.",
        "Сегодня очень холодно, но дети всё равно играют во дворе.",
        "Жёлтый жук жужжит над цветущей черёмухой.",
        "Быстрый поезд приходит на вокзал в четыре часа утра.",
        "Я хочу купить хлеб, молоко, яблоки и немного сыра.",
    ],
    "pl": [
        "W Szczebrzeszynie chrząszcz brzmi w trzcinie.",
        "Każdego ranka piję gorącą herbatę i jem świeży chleb z masłem.",
        "Moja siostra mieszka w dużym mieście nad szeroką rzeką.",
        "Żółta żaba skacze przez źdźbła trawy.",
    ],
    "cmn": [
        "今天天气很好，我们一起去公园散步吧。",
        "妈妈在厨房里做饭，爸爸在客厅看报纸。",
        "请问火车站怎么走？一直往前走，然后向左转。",
        "我喜欢喝绿茶，也喜欢吃水果和新鲜的蔬菜。",
        "老师说明天早上八点考试，大家不要迟到。",
    ],
    "ja": [
        "きょうはとてもいいてんきですね。",
        "わたしはまいあさコーヒーをのんで、しんぶんをよみます。",
        "えきまえのきっさてんでともだちとあうやくそくをしました。",
        "あかいりんごとしろいゆきがすきです。",
        "つぎのでんしゃはなんじにきますか。",
    ],
    "sv": [
        "Sju sjösjuka sjömän sköttes av sju sköna sjuksköterskor.",
        "Den lilla flickan åker skidor över den snöiga ängen.",
        "Jag köpte en röd tröja och ett par gröna byxor igår.",
    ],
    "hi": [
        "आज मौसम बहुत अच्छा है और हम बाज़ार जा रहे हैं।",
        "मेरा भाई हर सुबह चाय पीता है और अख़बार पढ़ता है।",
        "बच्चे बगीचे में खेल रहे हैं और चिड़ियाँ गा रही हैं।",
    ],
    "ar": [
        "ذهب الولد إلى المدرسة في الصباح الباكر مع صديقه.",
        "أحب أن أشرب القهوة وأقرأ الكتب في المساء.",
    ],
    "cs": [
        "Prilis zlutoucky kun upel dabelske ody u stare reky.",
        "Dnes rano prselo, ale odpoledne bude svitit slunce nad mestem.",
        "Moje sestra bydli v malem dome blizko lesa a chodi kazdy den na prochazku.",
        "Ctyri chlapci hrali na dvore s velkym cervenym micem.",
    ],
    "fi": [
        "Vanha kissa nukkuu lampimalla ikkunalaudalla koko paivan.",
        "Huomenna menemme junalla suureen kaupunkiin ostamaan uusia kirjoja.",
        "Lapset leikkivat pihalla ja koira juoksee heidan perassaan.",
        "Keittiossa tuoksuu tuore leipa ja kuuma kahvi.",
    ],
    "ca": [
        "El gat negre dorm a la cadira vella del menjador.",
        "Avui fa molt bon temps i anirem a passejar per la platja.",
        "La meva germana treballa en una botiga de llibres al centre.",
        "Els nens juguen al jardi amb una pilota vermella.",
    ],
}

# fmt: off
_ONSETS = (
    "b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "y", "z", "ch", "sh", "th",
    "st", "pr", "tr", "kl", "fl", "gr", "sp", "br", "dr", "kw",
)
# fmt: on
# fmt: off
_VOWELS = (
    "a", "e", "i", "o", "u", "ee", "oo", "ai", "ow", "oy", "ar", "or", "er",
)
# fmt: on
_CODAS = ["", "", "", "n", "m", "s", "t", "k", "l", "r", "ng", "sh", "f", "p", "d", "st", "nd"]


def made_up_words(rng: np.random.Generator, n_words: int) -> str:
    """A line of ``n_words`` pronounceable words without meaning."""
    words = []
    for _ in range(n_words):
        syllables = rng.integers(1, 4)
        parts = (rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables))
        words.append("".join(parts))
    return " ".join(words) + "."


def passage(language: str, rng: np.random.Generator, n_lines: int) -> list[str]:
    """``n_lines`` lines in one language, a third of them made-up words where it writes in Latin letters."""
    own = SENTENCES[language]
    lines = [own[i % len(own)] for i in rng.permutation(max(n_lines, len(own)))][:n_lines]
    if language in {"ru", "cmn", "ja", "hi", "ar"}:
        return lines
    return [made_up_words(rng, 8) if rng.random() < 0.33 else line for line in lines]
