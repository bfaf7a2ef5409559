"""The plots of the built-in stories: what goes wrong, why, and how it is put right.

A plot is tables and a text. One row of each table is drawn for a whole story, and its entries
stand where the text says `<entry>`, so that a cause named in the first paragraph has its effect in
the last. `[a|b]` is a choice made on the spot, which may be nested, and `[a |]` may be left out;
`{slot}` is a member of the cast (engine/text/stories/write.py).
A row's `able` asks for a friend who can do that and a hero who cannot, `unable` for the reverse,
`weather` for that weather. Write "a", never "an": the article is mended when the story is done.
"""

from dataclasses import dataclass

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Plot:
    name: str
    tables: str  # rows start with "- ", tables are parted by a line of "---"
    text: str  # paragraphs are parted by an empty line


def read_tables(text: str) -> list[list[Row]]:
    """The rows of every table: "- key: value" opens a row, "  key: value" adds to it, and a line
    indented further goes on with the value above."""
    tables: list[list[Row]] = [[]]
    key = ""
    for line in text.strip().splitlines():
        if line == "---":
            tables.append([])
        elif line.startswith("   "):
            tables[-1][-1][key] += " " + line.strip()
        else:
            if line.startswith("- "):
                tables[-1].append({})
            key, _, value = line[2:].partition(": ")
            tables[-1][-1][key] = value
    return tables


# Entries that every plot may use.
COMMON = read_tables("""
- meet: [[Once upon a time,|Long ago,|One day,|In a land far away,] there was {hero.a} named
      {hero}.[ {hero.He} lived in <abode>.|]|{hero} was {hero.a} who lived in <abode>.|[Many years
      ago|Not so long ago], {hero.a} named {hero} lived in <abode>.]
  abode: a [snug|cozy|warm|tidy] {hero.home} [near|not far from|close to] {place}

  greet: [Hello|Hi|Good {time.part}], {friend}!
  owns: {hero} had a {thing}, and {hero.he} loved to {thing.use}.
  sorry: [I am sorry, {friend}|I am so sorry, {friend}|Please forgive me, {friend}]
  thanks: [Thank you|Thank you so much|Oh, thank you], {friend}
  hurrah: [Hooray|Hurrah|Yippee|Wonderful]
  oh_no: [Oh no|Oh dear|Oh my]
  glad: [happy|glad|full of joy|as happy as could be]
  sad: [sad|unhappy|close to tears|very sad]
""")[0][0]

LOST = Plot("lost", """
- trait: forgetful
  slip: {hero} forgot to hold on tight
  lesson: From then on, {hero} tied a string to {hero.his} {thing.noun}, so that {hero.he} could
      never forget it again.
- trait: dreamy
  slip: {hero} was dreaming of [castles|dragons|faraway islands]
  lesson: {hero} still liked to dream, but never while {hero.he} carried the {thing.noun}.
- trait: careless
  slip: {hero} did not take care
  lesson: {hero} was not careless anymore. Every night {hero.he} put the {thing.noun} on a shelf.
- trait: messy
  slip: {hero} never looked after {hero.his} things
  lesson: That night {hero} tidied the whole {hero.home}, and the {thing.noun} got a place of its
      own.
""", """
<meet> <owns> [It was {hero.his} [favorite thing|dearest treasure|best toy]. |]But {hero} was
[often|always|a bit too] <trait>.

<day>. {hero} put on <wear> and took the {thing.noun} to {place2}. ["[Look after it|Take good care
of it|Do not lose it]," said {elder}. |]But <slip>. <loss>.[ {hero} did not [notice|see it
happen].|]

When it was time to go home, the {thing.noun} was gone. "<oh_no>! Where is my {thing}?" cried
{hero}. {hero.He} looked {place2.first}. [{hero.He} looked {place2.second}. |]It was not there[,
and {hero} was <sad>|].

Then {third.full} came by. "Have you seen my {thing}?" asked {hero}. "No, I was [looking
for|thinking about|carrying home] {third.food}," said {third}. "But ask {friend.full}.[
{friend.He} [sees everything|was here before you].|]"

{hero} found {friend} and asked {friend.him}. "I saw something {thing.color} {place2.hidden},"
said {friend}. [They [hurried|ran|went] there together. |]It was the {thing}, <found>! "<thanks>!"
said {hero}. [As a thank-you, {hero} gave {friend} some {friend.food}. |{hero} shared some
{friend.food} with {friend}. |{friend} laughed, and they {thing.used}. |]<end>. <lesson>
""")

STUCK = Plot("stuck", """
- able: climb fly
  where: landed in the top of a tall tree
  try: jumped and jumped, but the branches were too high
  deed: climbed up, branch by branch, and [shook|pulled] it free
  skill: climb trees
- able: swim fly
  where: fell into the deep water and drifted away
  try: reached out with a stick, but the stick was too short
  deed: swam out with strong strokes and pushed it to the shore
  skill: swim
- able: fly climb
  where: came down on the roof of a high tower
  try: looked for a ladder, but no ladder was long enough
  deed: spread {friend.his} wings, flew to the roof, and brought it back
  skill: fly
- able: dig
  where: was buried under a heap of sand and stones
  try: scratched at the heap, but more and more sand came down
  deed: dug a long tunnel and pulled it out
  skill: dig
- able: squeeze
  where: slipped through a narrow crack in a wall
  try: pushed one arm inside, but the crack was too tight
  deed: squeezed through the crack and came back with it
  skill: fit through cracks
- able: lift
  where: was trapped under a heavy log
  try: pushed the log with all {hero.his} might, but it did not move
  deed: lifted the log as if it were a feather
  skill: lift heavy things
- able: dark
  where: rolled deep into a pitch-black cave
  try: took two steps inside, but could not see a thing
  deed: walked into the dark without a lamp and found it at once
  skill: see in the dark
---
- trait: proud
  no_help: I do not need any help. I can do it alone
  lesson: It is not a shame to ask for help
- trait: stubborn
  no_help: Go away. I will not give up
  lesson: A stubborn head is no use without a good friend
- trait: grumpy
  no_help: Leave me alone, I am in a bad mood
  lesson: A kind word works better than a grumpy one
- trait: vain
  no_help: What could you do that I cannot do
  lesson: Everyone is good at something
""", """
<meet> {hero.He} was [rather|very|a little] <trait>. <day>, and {hero} went to {place2} to
{thing.use_a}.

[At first it was great fun. |Everything went well until noon. |][Then something bad happened:
the|Suddenly the] {thing.noun} <where>. "<oh_no>! My {thing}!" cried {hero}. {hero.He} <try>.

{friend.full} was [passing by|sitting nearby|eating {friend.food} {place2.first}]. "Can I help
you?" asked {friend}. "<no_help>!" said {hero}. [So {friend} [sat down and waited|shrugged and
waited]. |]{hero} tried again and again[. {hero.He} got tired and <sad>|].

At last {hero} said in a small voice, "<sorry>. I was too <trait>. Would you help me, please?" "Of
course," said {friend}. "I can <skill>." {friend} <deed>.[ "Here is your {thing}!"|]

"<hurrah>!" {hero} shouted. "<thanks>." [{hero.He} let {friend} have the first turn, and together
they {thing.used}. |][<end>. |]["<lesson>," {hero} told {elder} that evening.|"<lesson>," said
{hero}.]
""")

BROKEN = Plot("broken", """
- trait: careless
  cause: {hero.He} left it on the path, and a cart rolled over it
- trait: wild
  cause: {hero.He} ran and jumped with it and fell on top of it
- trait: impatient
  cause: {hero.He} pulled at it much too hard, because {hero.he} could not wait
- trait: curious
  cause: {hero.He} wanted to know what was inside and took it apart
---
- mend: glue
  work: They glued the pieces together, one by one
- mend: string
  work: They wound the string around it and made a strong knot
- mend: a hammer and nails
  work: Tap, tap, tap, went the hammer until it was whole
- mend: wire
  work: They bent the wire until every part was in its place
- mend: a needle and thread
  work: With tiny stitches they sewed it up again
""", """
<meet> {hero} meant well, but {hero.he} was [far too|often|very] <trait>. {hero.His} friend
{friend.full} had a {thing}.[ Nobody had a finer one.| It was a present from {elder}.| {friend}
took it everywhere.|]

"May I borrow your {thing}?" {hero} asked one {time}. "I want to {thing.use}." "Yes," said
{friend}, "but please bring it back." {hero} took it to {place2}. [It was great fun. |At first all
went well. |]But {hero} was <trait>. <cause>. Crack! The {thing.noun} was broken.

[{hero} [was scared|turned pale|felt cold all over]. |]{hero.He} hid the broken {thing.noun}
{place2.hidden} and went home. At supper {hero.he} could not eat, not even {hero.food}. {elder}
asked what was wrong, and {hero} told {elder.him} everything.[ "[The truth is hard, but it gets
lighter when you tell it|A friend would rather hear the truth]," said {elder}.|]

So {hero} fetched the {thing.noun} from {place2} and went to {friend}. "<sorry>. I was <trait>,
and I broke your {thing}." [{friend} was <sad>. But then {friend.he} said|{friend} said], "[Thank
you for telling me|You were brave to tell me]. Do you have <mend>?" {hero} had <mend> at home.
<work>.

[When they were done, the|The] {thing.noun} looked almost like new[, and they {thing.used}|]. ["It
is even better now," said {friend}, "because we mended it together." |]{hero} was never so <trait>
again.
""")

TRADE = Plot("trade", """
- trait: poor
  why: {hero.he} had no money for a present
- trait: clever
  why: {hero.he} had spent all {hero.his} money on {hero.food}
- trait: cheerful
  why: {hero.his} money box was empty
- trait: patient
  why: {hero.he} had only three pennies
""", """
<meet> {hero.He} was <trait>[ and always had an idea| and never gave up|]. One {time}, {hero.he}
remembered that it was {friend}'s birthday. {friend.full} wished for a {thing}, to {thing.use}.
But <why>. All {hero.he} had was some {third.food}.

On the way to {place2}, {hero} met {third.full}. "[What a smell|Mmm]! Do you have {third.food}?"
asked {third}. "I will give you my {gift} for it." {hero} said yes.[ So now {hero.he} had a
{gift}.|]

{place2.At}, {fourth.full} sat {place2.first} and [cried|sighed]. "I lost my {gift.noun}, and I am
<sad>." "[Take|You can have] this {gift}," said {hero}. {fourth} [jumped for joy|dried
{fourth.his} tears]. "[You are so kind! |]Here, take these {treats} for it."[ So now {hero} had
{treats}.|]

Then {elder} came along with a heavy bag. "I am so hungry," said {elder}, and {hero} gave
{elder.him} the {treats}. [{elder} ate them all and laughed. |]"In my bag is a {thing}. [It is
yours|Take it]!"

{hero} ran to {friend}'s {friend.home}. "Happy birthday, {friend}!" "A {thing}! How did you get
it?" [cheered|asked] {friend}. "First I had {third.food}," said {hero}. "{third} gave me a {gift}
for it, {fourth} gave me {treats} for the {gift.noun}, and {elder} gave me the {thing.noun} for
the {treats}."[ They {thing.used} and were <glad>.| {friend} {thing.used} and was <glad>.|]
""")

SHARE = Plot("share", """
- trait: greedy
  excuse: They are all mine, and I am very hungry
  fate: {hero} ate every single one. Soon {hero.his} tummy began to hurt, and {hero.he} lay
      down and groaned
  cure: made {hero.him} a cup of [mint|ginger|chamomile] tea
  after: The tea was good, and the pain went away
- trait: selfish
  excuse: I do not want to give any away
  fate: {hero} hid the {treats} {place2.hidden}. But ants came and carried off every crumb, and
      {hero.he} went to bed hungry
  cure: came with a bowl of {friend.food}
  after: It tasted better than anything before
- trait: sneaky
  excuse: What {treats}? I do not see any
  fate: {hero} ran off to eat them in secret, tripped over a root, and all the {treats} fell
      into the mud
  cure: wiped the mud from {hero.his} face and gave {hero.him} a hug
  after: {hero} felt very small
- trait: stingy
  excuse: I must save them for the winter
  fate: {hero} kept the {treats} in a box. When {hero.he} opened it after a week, all of them
      were green and moldy
  cure: brought a basket of {friend.food}
  after: They ate until the basket was empty
""", """
<meet> {hero.He} was clever, but also <trait>. One {time}, {elder} baked a [tray|basket|plate|box]
of {treats}. "[These are for you|Take these, dear]," said {elder}.[ "Will you share them with
{friend}?"|]

{hero} carried the {treats} to {place2}. There {hero.he} met {friend.full}. "Hello, {hero}! What
do you have there?" "{treats.Cap}," said {hero}. "[They smell so good! |They look so good! |]May I
have one?" asked {friend}. "No," said {hero}. "<excuse>." {friend} [walked away with a sad
face|went away without a word|hung {friend.his} head and left].

[But that was not the end of it. |What happened then? |]<fate>. "<oh_no>," thought {hero}. "I wish
I were not so <trait>."

[Someone knocked at the door.|Then {hero.he} heard soft steps.] It was {friend}! ["I heard that
you were not well," {friend} said, and {friend.he}|{friend}] <cure>. [<after>. |]"Why are you so
nice to me?" asked {hero}. "I gave you none of my {treats}." "[That is what friends do|You are my
friend|I was sad, but you need me now]," said {friend}.

The next time {elder} baked {treats}, {hero} [counted them|put them on two plates]: one for
{hero}, one for {friend}, one for {hero}, one for {friend}. [They sat {place2.first} and ate.
|They ate them side by side. |]And {hero} was not <trait> [anymore|ever again].
""")

BAKE = Plot("bake", """
- dish: cake
  a: flour
  b: eggs
  c: sugar
  made: stirred and baked
- dish: soup
  a: carrots
  b: onions
  c: salt
  made: chopped and cooked
- dish: pizza
  a: dough
  b: tomatoes
  c: cheese
  made: rolled and baked
- dish: pie
  a: butter
  b: apples
  c: cinnamon
  made: peeled and baked
- dish: stew
  a: potatoes
  b: beans
  c: pepper
  made: stirred and cooked
- dish: pudding
  a: milk
  b: plums
  c: honey
  made: stirred and cooked
---
- trait: busy
  reason: to thank {elder}
- trait: cheerful
  reason: for a party
- trait: hungry
  reason: for supper
- trait: lonely
  reason: to have guests
""", """
<meet> One {time}, {hero} was <trait> and wanted to make a <dish> <reason>. But the cupboard was
empty. "I need <a>, <b>, and <c>," said {hero}.

First {hero.he} went to {friend.full}. "<greet> Do you have some <a>?" "Yes, if you [sweep my
floor|carry my wood|wash my windows]," said {friend}. {hero} did it and got the <a>.

Next {hero.he} went to {place2} and asked {third.full} for <b>. "[Help me first|Not now]," said
{third}. "I lost my {thing} {place2.at}." [{hero} looked {place2.first} and {place2.second}.
|]{hero.He} found the {thing} {place2.hidden}, and {third} gave {hero.him} the <b>.

Last of all {hero} went to {fourth.full}. {fourth} was [ill|tired] and lay in bed. "Take all my
<c>," said {fourth}. "I cannot cook." "Then I will bring you some <dish>," {hero} promised.

At home {hero} <made> until the whole {hero.home} smelled of <dish>. ["I did not make it
alone,"|"Now I must share it,"] {hero} said. "The <a> came from {friend}, the <b> from {third},
and the <c> from {fourth}." So {friend} got some, {third} got some and brought the {thing}, and
the biggest share went to {fourth}, as {hero} had promised. [{fourth} ate it all and felt [much
better|well again].|{fourth} felt much better.][ {elder} had [the last bite|a taste too] and said,
"A shared <dish> tastes best."|]
""")

RACE = Plot("race", """
- trait: lazy
  stop: I have so much time. I will take a little nap
  then: {hero.He} lay down {place2.first} and [snored|fell asleep]
- trait: greedy
  stop: I smell {hero.food}. I will stop for just one bite
  then: {hero.He} sat down {place2.first} and ate and ate
- trait: boastful
  stop: I will tell everyone how fast I am
  then: {hero.He} talked to {third.full} {place2.first} for an hour
- trait: vain
  stop: I must look pretty when I win
  then: {hero.He} looked at {hero.himself} in a puddle {place2.first}
- trait: playful
  stop: What a pretty butterfly! I will catch it first
  then: {hero.He} chased it around and around {place2.first}
---
- unable: run
""", """
<meet> {hero} could run [faster than anyone|like the wind|very fast], but {hero.he} was also
<trait>. {hero.His} neighbor {friend.full} was slow. ["[You walk like a snail|You are so slow],
{friend}!" {hero} teased.|{hero} often teased {friend.him}.]

One {time}, {elder} said, "Let us have a race from {place} to {place2}. Whoever comes first gets
this {thing}." {hero} wanted to {thing.use}. ["[That will be easy|I have won already]," {hero.he}
said.|{friend} only [smiled a little|drank some water].]

"Ready, steady, go!" cried {elder}. {hero} [shot off|was gone] in a cloud of dust. When {hero.he}
came to {place2}, {friend} was [far behind|only a dot]. "<stop>," said {hero}. <then>. Step by
step, {friend} walked on[ and did not stop, not even for {friend.food}| and passed {hero} without
a sound].

When {hero} [looked up|remembered the race], it was too late. {friend} stood at the end, and
{elder} put the {thing} in {friend.his} hands. "<hurrah> for {friend}!" everyone shouted. "I lost
because I was <trait>," said {hero}. "[You never stopped, {friend}. |]I am sorry that I teased
you."

{friend} [smiled|was not angry]. "The {thing.noun} is more fun with two," {friend.he} said.
"Come!" And so {hero} and {friend} {thing.used}.[ <end>.|]
""")

PLOTS = (LOST, STUCK, BROKEN, TRADE, SHARE, BAKE, RACE)
