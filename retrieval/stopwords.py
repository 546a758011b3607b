"""Words that do not say which tool is meant: English function words and phrases of asking. Data, no behaviour."""

from typing import Final

_ENGLISH: Final = """
a about all also am an and any are as at be been but by can could did do does each find for from get give had has
have he her here his how i if in into is it its just know let like me more most my need no not of on or our please
provide she should so some than that the their them then there these they this those to us want was we were what
when where which who why will with would you your
"""

# Frequent function words of German, French, Spanish, Portuguese, Italian, Dutch, Polish, Swedish, Turkish, Indonesian
# and Vietnamese, accents folded, that are no English words and no usual names of parameters.
_FOREIGN: Final = """
der das und ist ein eine einen einem einer nicht mit fur auf dem den des sich auch wie bei nach wird zu zum zur mir
ich wir sie bitte alle meine von vom uber
le la les une est et dans pour pas avec sur qui que du je nous vous mes tous aux ce cette
el los las una y con por para como mi su todos al lo quiero
os uma nao dos das meu minha em
il di che gli della del sono tutti nel alla
het een niet van voor naar mijn op
nie jest na sie oraz wszystkie moje
och att det ett som inte alla mina
bir bu icin ile tum
yang untuk dengan dari semua saya
cua cho cac tat ca
"""

ENGLISH_STOP_WORDS: Final = frozenset(_ENGLISH.split())
FOREIGN_FUNCTION_WORDS: Final = frozenset(_FOREIGN.split())
