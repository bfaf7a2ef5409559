"""More plots for the built-in stories: of fear, patience, honesty, danger and old promises.

The notation is that of engine/text/stories/plots.py.
"""

from engine.text.stories.plots import Plot

SHY = Plot("shy", """
- game: playing hide-and-seek
  need: nobody could find {third}. They called and called, and some began to cry
  know: From {hero.his} quiet corner, {hero} had seen {third} hide {place2.hidden}
  say: {third} is {place2.hidden}
  result: There sat {third}, fast asleep
- game: playing a singing game
  need: {third} forgot the last line of the song, and the music stopped
  know: {hero} had listened so long that {hero.he} knew every word
  say: I know how the song ends
  result: {hero} sang the line in a clear voice
- game: playing catch
  need: {third} threw too far, and the ball was lost in the bushes
  know: {hero} had watched just where the ball flew
  say: The ball is {place2.hidden}
  result: {third} looked there and held up the ball
- game: playing cards
  need: one player was missing, and {third} wanted to go home
  know: {hero} had watched every round and knew the rules by heart
  say: I could be the missing player
  result: {third} dealt the cards again
- game: building a fort
  need: the roof fell in for the third time, and {third} kicked the sticks
  know: {hero} had built many forts at home, all alone
  say: The long sticks must lie across the short ones
  result: They tried it, and the roof held
---
- trait: shy
  how: Words got stuck in {hero.his} throat
- trait: quiet
  how: {hero.He} spoke so softly that nobody heard
- trait: timid
  how: {hero.His} knees shook when someone looked at {hero.him}
""", """
<meet> {hero} was <trait>. <how>. [So {hero.he} played alone with {hero.his} {thing}.|{hero.His}
only company was a {thing}.|Most days {hero.he} only talked to {hero.his} {thing}.]

One {time}, {hero} went to {place2}. {friend.full} and {third.full} were <game>. [{hero} wanted to
join in, but {hero.he} was too <trait> to ask. |]{hero.He} stood {place2.first}, held the
{thing.noun} tight, and watched [for a long time|for an hour|all {time.part}].

Then something went wrong: <need>. ["<oh_no>," said {friend}. "What can we do?" |]<know>.
[{hero.His} heart beat [like a drum|fast]. |]{hero} [took a deep breath and |]stepped forward.
"[Excuse me|Please]," {hero.he} said. "<say>."

Everyone turned around. <result>. "<hurrah>!" cried {friend}. "[You are so clever! |]What is your
name?" "I am {hero}," said {hero}, and {hero.his} voice was [not so small anymore|almost loud].[
"Come and play with us, {hero}!"|]

They went on <game> until [it got dark|{elder} called them]. [{hero} even let {third} try the
{thing}, and they {thing.used}. |]At bedtime {elder} asked, "Were you <trait> today?" "Only at
first," said {hero}. "Then I made two friends, {friend} and {third}."
""")

SHELTER = Plot("shelter", """
- trait: kind
  answer: Come in, come in! There is room for two
  stay: {friend} came in and got dry by the fire. {hero} gave {friend.him} a blanket and some
      {friend.food}
  turn: The next {time}, {hero} was far from home, {place2.at}, when a [stone|branch] fell on
      {hero.his} foot. {hero.He} could not walk. Who came along? It was {friend}! "You helped me,
      {hero}, and now I will help you," said {friend}, and carried {hero.him} all the way home.
  lesson: A kind deed comes back
- trait: generous
  answer: You poor thing! Take my own warm chair
  stay: {friend} sat in the warm chair and told stories all night long, and {hero} cooked some
      {friend.food}
  turn: A week later, thieves took everything {hero} had, even the {thing}. {friend} heard of it.
      {friend.He} looked for it {place2.at} until {friend.he} found it {place2.hidden}. "You gave
      me your chair," said {friend}, "so here is your {thing.noun}."
  lesson: Those who give will never be poor
- trait: unfriendly
  answer: Go away! This is my {hero.home}, not yours
  stay: {friend} had to sleep outside {place2.at}, and {friend.he} shivered all night
  turn: But the next night the storm grew stronger. It broke the door and chased {hero} out of the
      {hero.home}. Wet and cold, {hero} ran to {place2}. There sat {friend} under a tent of
      branches. "Come under my roof," said {friend}. "There is room for two."
  lesson: An open door is better than a strong one
- trait: suspicious
  answer: I do not know you. You may steal my {thing}
  stay: The door stayed shut, and {friend} walked on to {place2} with chattering teeth
  turn: In the night, the storm broke a window and carried the {thing.noun} away. In the morning
      {friend} stood there with the {thing} in {friend.his} hands. "This came flying past me
      {place2.at}," said {friend}. "I thought you would miss it."
  lesson: You cannot see a heart through a keyhole
---
- weather: rainy
  storm: rain
  noise: The rain drummed on the roof
- weather: snowy
  storm: snow
  noise: The snow reached up to the window
- weather: windy
  storm: wind
  noise: The wind howled around the corners
""", """
<meet> {hero.He} was <trait>[, and everyone knew it|, as all the neighbors could tell]. <owns>

<day>. [In the evening a great storm came. |]<noise>. {hero} sat [by the fire|in a soft chair] and
ate {hero.food}. Knock, knock! Outside stood {friend.a}. "[Please|Good evening], my name is
{friend}," said {friend}. "The <storm> is so strong, and I am [cold|lost|tired]. May I stay with
you tonight?"

"<answer>!" said {hero}. <stay>.

<turn>

"<thanks>," said {hero}. [{hero.He} thought about the night of the storm.|{hero.He} remembered the
knock on the door.] [<end>, and the two of them {thing.used}. |]"<lesson>," said {elder} when
{elder.he} heard the story.[ From that night on, {hero} and {friend} were [the best of|good]
friends.|]
""")

FEAR = Plot("fear", """
- fear: the dark
  lacks: dark
  scary: a cave as black as ink
  alone: {third} is in the cave, and {third.his} lamp went out
  way: held on to the wall and counted {hero.his} steps
  truth: The dark is only the day with its eyes closed
- fear: high places
  lacks: climb fly
  scary: a tower with a hundred steps
  alone: {third} is up on the tower and hurt {third.his} leg
  way: looked only at the next step, never down
  truth: From up here the whole world looks friendly
- fear: deep water
  lacks: swim fly
  scary: a lake with a shaky bridge
  alone: {third} is stuck on the little island
  way: crossed the bridge on hands and knees
  truth: The water only sang and splashed
- fear: thunder
  scary: a wide field without a tree
  alone: {third} is out in the field, and a storm is coming
  way: sang a loud song at every clap of thunder
  truth: Thunder is just the sky clearing its throat
- fear: strangers
  scary: a crowd of strangers
  alone: {third} got lost in the crowd
  way: asked one stranger after another and said please each time
  truth: A stranger is a friend whose name you do not know yet
- fear: loud noises
  scary: a sawmill that roared and rattled
  alone: {third} is in the sawmill with one foot under a plank
  way: covered both ears and walked on
  truth: A noise has no teeth
""", """
<meet> {hero} was afraid of only one thing in the world: <fear>. [Nobody knew it but {elder}.
|{elder} said that was all right. |]Not far from {place2} there was <scary>, and {hero} [always
walked around it|never went near it].

<day>. {hero} and {friend.full} were {place2.at}. {hero} had brought {hero.his} {thing}, and they
{thing.used}. Suddenly [they heard a cry.|someone cried,] "Help! Help!" "That is {third}!" said
{friend}. "<alone>!" {friend} had a sore foot, and {elder} was far away.

[{hero} began to shake. |]{hero.He} was afraid of <fear>. But {third} [needed|was waiting for]
{hero.him}. "Hold my {thing.noun}," {hero} told {friend}. "I am going." {hero.He} <way>. ["I am
scared," {hero.he} whispered, "but I am coming." |]And at last {hero.he} saw {third}.

["Oh, {hero}, you came!" said {third}. |]{hero} took {third.him} by the hand, and they went back
[slowly|together]. "<truth>," said {hero}[, and {hero.he} was surprised at {hero.himself}|].

{friend} was waiting with the {thing}. "[I thought|Everybody said] you were afraid of <fear>!" "I
was," said {hero}. [{third} hugged {hero.him} tight. |][[That night|At home] {elder} brought
{hero} some {hero.food}. |]"[To be brave|Courage] means to be afraid and to go anyway," said
{elder}.
""")

SEED = Plot("seed", """
- plant: pumpkin
  grown: a pumpkin as big as a wheel
  use: cooked pumpkin soup
- plant: sunflower
  grown: a sunflower taller than the door
  use: roasted the sunflower seeds
- plant: tomato
  grown: a bush full of fat tomatoes
  use: made tomato salad
- plant: strawberry
  grown: a patch of sweet strawberries
  use: ate strawberries and cream
- plant: melon
  grown: a round green melon
  use: cut the melon into slices
- plant: bean
  grown: a vine full of beans
  use: picked a basket of beans
- plant: pear
  grown: a slim tree with three golden pears
  use: shared the pears
---
- trait: impatient
  wrong: {hero} dug the seed up again to see if it had roots
  advice: A seed needs to be left alone
  cure: promised not to touch it
- trait: lazy
  wrong: {hero} did not feel like carrying water, and the soil turned to dust
  advice: A seed gets thirsty, just like you
  cure: brought water every day
- trait: nervous
  wrong: {hero} poured water on it ten times a day, until it nearly drowned
  advice: Too much of a good thing is not good
  cure: watered it only once a day
- trait: forgetful
  wrong: {hero} forgot where the seed was and stepped on it
  advice: What you love needs a sign
  cure: put a little fence around it
""", """
<meet> {hero.He} was [rather|quite|a bit] <trait>. One {time}, {elder} gave {hero.him} a small
seed. "This is a <plant> seed," said {elder}.[ "[Plant it in good soil|Put it in the ground], and
you will see a wonder."|]

{hero} dug a hole with a [{thing.color}|big|rusty] spoon {place.at}, {place.first}, and put the
seed in. {friend.full} came to watch. "[When will it grow|Is it ready]?" asked {friend}.
"[Soon|Maybe tomorrow]," said {hero}. The next day nothing was there. [The day after, nothing was
there. |]<wrong>.

"<oh_no>! My <plant> will never grow," said {hero}. [{elder} looked at the soil. |]"<advice>,"
said {elder}. So {hero} <cure>. {friend} brought a {thing}, and they {thing.used} while they
waited.[ Rain fell, and the sun shone.| The days grew long and warm.| A week passed, and then
another.|]

[[Then one day|One morning] {friend} shouted, "{hero}, come quick!" A tiny green [leaf|tip] was
looking out of the ground.|One morning there was a tiny green leaf.] [It grew and grew. |]In the
fall there stood <grown>, right where {hero} had planted the seed {place.first}.

They <use>[, and {third.full} came to taste. "I like it even more than {third.food}!" said
{third}|]. "[I was|I used to be] <trait>," said {hero}, "but <plant> seeds are good teachers."
""")

WARNING = Plot("warning", """
- danger: the thin ice
  why: It may break
  harm: The ice cracked, and {hero} fell into the cold water
  able: swim
  weather: snowy
  rescue: jumped in and pulled {hero.him} out
- danger: the deep mud
  why: It holds your feet and does not let go
  harm: {hero} sank into the mud up to {hero.his} waist
  able: lift
  weather: rainy
  rescue: leaned back and pulled {hero.him} out with a loud plop
- danger: the steep rocks
  why: The stones are loose
  harm: The stones rolled away, and {hero} hung from a root, high above the ground
  able: climb fly
  rescue: climbed up and led {hero.him} down, one foot at a time
- danger: the old well
  why: The boards are rotten
  harm: The boards broke, and {hero} fell to the bottom of the dry well
  able: fly climb
  rescue: flew down with one end of a rope
- danger: the dark tunnel
  why: It has a hundred turns
  harm: After the third turn {hero} did not know the way back
  able: dark
  rescue: found {hero.him} in the dark and led {hero.him} out
- danger: the sandy cliff
  why: The sand slides
  harm: The sand slid down and covered {hero} up to {hero.his} chin
  able: dig
  rescue: dug and dug until {hero} was free
---
- trait: stubborn
  thought: Nobody tells me what to do
- trait: curious
  thought: I only want one little look
- trait: bold
  thought: I am not afraid of anything
- trait: naughty
  thought: If nobody sees me, it does not count
""", """
<meet> {hero.He} had a good heart, but {hero.he} was [very|far too|often] <trait>. Every day
{elder} said, "Play {place2.at} as long as you like, but stay away from <danger>. <why>."

<day>. {hero} put on <wear> and went out with {hero.his} {thing}. {friend.full} was already
{place2.at}. They {thing.used}, until {hero} looked over at <danger>. "<thought>," {hero.he}
thought. ["Do not go there!" said {friend}. "Remember what {elder} told you!"|"Remember what
{elder} told you!" said {friend}.] But {hero} was too <trait> to listen.

[For a moment [it was exciting|all was well|nothing happened]. |][Then it came just as {elder} had
said. |]<harm>. "Help me, {friend}!" cried {hero}.

{friend} [did not wait a second|came at once|dropped everything]. {friend.He} <rescue>. {hero} was
[pale|shaking] but safe. Only the {thing} was gone forever.

"<thanks>," said {hero}. "You saved me." [They went home, and {hero} told {elder} the
truth.|{hero} told {elder} everything.] {elder} [wrapped {hero.him} in a blanket and |held
{hero.him} tight and |]gave {friend} a big bowl of {friend.food}. "I was too <trait>," said
{hero}. "Now I know why you told me about <danger>."[ And {hero.he} never went there again.|
{hero} missed the {thing.noun}, but a friend like {friend} was worth more.|]
""")

HURT = Plot("hurt", """
- able: fly
  wound: a hurt wing
  need: {hero} lost {hero.his} way in the woods
  favor: rose high above the trees, saw the {hero.home} far away, and showed {hero.him} the path
- able: swim fly
  wound: a sore foot
  need: {hero} fell into a fast stream
  favor: dived in and carried {hero.him} to the bank
- able: dig
  wound: a cut paw
  need: stones blocked the door of {hero}'s {hero.home} while {hero} was inside
  favor: dug a way through and let {hero.him} out
- able: climb fly
  wound: a thorn in one foot
  need: {hero} was stuck at the bottom of a deep pit
  favor: climbed down with a rope and helped {hero.him} out
- able: dark
  wound: a bump on the head
  need: night fell before {hero} was home, and there was no moon
  favor: walked ahead in the dark and never missed a turn
---
- trait: gentle
- trait: kind
- trait: good
- trait: friendly
""", """
<meet> {hero.He} was <trait> to [everyone, big or small|all living things]. <day>. {hero} went to
{place2} to {thing.use_a}.

{place2.Hidden} {hero.he} heard [a soft cry|someone sobbing]. There lay {friend.a} with <wound>.
"[Do not be afraid|Lie still]," said {hero}. "What is your name?" "{friend}," said the
{friend.kind}. [{hero} forgot all about the {thing.noun}. |]{hero.He} carried {friend} home to
{hero.his} {hero.home}.

[{elder} [brought|made] a bandage, and {hero} made a bed [from a basket|of soft grass]. |]Every
day {hero.he} brought {friend} some {friend.food}. ["You are so <trait>," said {friend}. |][In the
evening {hero} took out the {thing.noun} and {thing.used}, and {friend} forgot the pain. |]After
[two|three] weeks {friend} was well again. "I will not forget you, {hero}," said {friend} and went
away.

[A year went by.|Many months passed.] One day, <need>. [{hero.He} called for help, but nobody
answered. |][{hero} was <sad>. |]Then a voice said, "Do you remember me?" It was {friend}, the
{friend.kind} from {place2}! {friend} <favor>.

"<thanks>!" said {hero}. "No," said {friend}, "I thank you. You were <trait> to me when I had
<wound>." [They ate {friend.food} together, just as they did before, and|And] {friend} asked, "Do
you still have your {thing}?"
""")

JOKE = Plot("joke", """
- cry: A wolf! A wolf is coming
  real: a gray wolf came out of the trees
  harm: The wolf took the basket with all of {hero}'s {treats} and trotted away
- cry: Fire! My {hero.home} is on fire
  real: a spark jumped from the stove
  harm: The fire burned a big hole in the {hero.home}
- cry: Water! The river is rising
  real: brown water ran under the door
  harm: The water washed away all of {hero}'s {treats}
- cry: Thieves! They are taking everything
  real: two masked thieves crept in
  harm: The thieves carried off the {thing} and all the {treats}
- cry: Bees! A thousand bees
  real: a cloud of angry bees came humming
  harm: The bees stung {hero} on the nose, on the ears, and on the chin
---
- trait: playful
- trait: bored
- trait: cheeky
- trait: silly
""", """
<meet> {hero} [liked to play tricks|loved to fool others|thought that a good joke was the best
thing in the world]. {hero.He} was [always|often] <trait>[, and {hero.he} did not think of
others|]. {hero.He} was tired of {hero.his} {thing}.

One {time}, {hero} ran to {place2} and shouted, "<cry>!" {friend.full} dropped {friend.his}
{friend.food} and [came running|ran to help]. {third.full} came too. But there was nothing at all.
"[Ha, ha|Fooled you]!" laughed {hero}. ["You should see your faces!" |]"That is not funny," said
{friend}.

[The next day {hero} did it again. "<cry>!" Again {friend} and {third} came, and again {hero}
laughed at them.|The next day {hero} fooled them again.] "[One day you will be sorry|We will not
come again]," said {third}.[ "[Do not lie|Never joke about danger], {hero}," said {elder}.|]

Then, one evening, <real>. This time it was true! "<cry>!" screamed {hero}. ["Please help me!"
|]{friend} heard it and said, "It is only {hero}'s old joke." {third} [turned over in bed|went on
eating {third.food}]. Nobody came. <harm>.

In the morning {friend} and {third} saw that it was true. "We did not believe you," they said.
"[It is my own fault|I am the one who is sorry]," said {hero}. "I called you twice for nothing."
{hero} was still <trait>, but {hero.he} found better ways to make {friend} and {third} laugh.
""")

PLOTS = (SHY, SHELTER, FEAR, SEED, WARNING, HURT, JOKE)
