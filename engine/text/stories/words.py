"""The words of the built-in stories: who lives there, what they own, where they go, the weather.

Facts here hold in every story (a mole digs, a kite is flown in the wind), so a reader of many
stories can learn them; which of them one story is about must be remembered while reading it.
`[a|b]` is a choice and `{slot}` a word of the story's cast, as in engine/text/stories/plots.py.
"""

GIRLS = (
    "Lily", "Mia", "Sue", "Anna", "Ella", "Rosie", "Daisy", "Lucy", "Molly", "Ruby", "Nora", "Ivy",
    "Hazel", "Clara", "Zoe", "Poppy", "Tess", "Maya", "Bella", "Jane", "Dot", "Kate", "Willow",
    "Amy", "Greta", "Pearl", "Stella", "Wendy", "Olive", "Fern", "Betty", "Holly", "Sara", "Tilly",
)
BOYS = (
    "Tom", "Ben", "Max", "Sam", "Tim", "Leo", "Finn", "Jack", "Oliver", "Henry", "Toby", "Oscar",
    "Charlie", "Felix", "Hugo", "Milo", "Otto", "Rusty", "Bruno", "Gus", "Pip", "Theo", "Jasper",
    "Alfie", "Barney", "Ned", "Walter", "Archie", "Rufus", "Monty", "Buster", "Peter", "Ravi",
    "Omar",
)
ELDERS = (
    ("Mom", "she"), ("Dad", "he"), ("Grandma", "she"), ("Grandpa", "he"), ("Aunt May", "she"),
    ("Uncle Joe", "he"), ("Mr. Gray", "he"), ("Mrs. Green", "she"), ("Aunt Rose", "she"),
    ("Uncle Bill", "he"),
)

# kind, home, favorite food, what it can do, how it may look
ANIMALS = (
    ("fox", "den", "blackberries", "run dig", ("red", "bushy", "slim")),
    ("rabbit", "burrow", "carrots", "run dig", ("white", "gray", "fluffy")),
    ("mouse", "hole", "cheese", "squeeze", ("tiny", "gray", "brown")),
    ("squirrel", "hollow tree", "nuts", "climb", ("red", "quick", "fluffy")),
    ("bear", "cave", "honey", "lift climb", ("big", "brown", "furry")),
    ("owl", "barn loft", "plum pie", "fly dark", ("wise", "white", "round")),
    ("robin", "nest", "cherries", "fly", ("tiny", "plump", "bright")),
    ("duck", "nest in the reeds", "bread crumbs", "swim", ("yellow", "plump", "white")),
    ("frog", "mossy log", "mint leaves", "swim", ("green", "spotted", "tiny")),
    ("beaver", "lodge", "crunchy bark", "swim", ("brown", "busy", "wet")),
    ("otter", "river cave", "fish soup", "swim", ("sleek", "brown", "lively")),
    ("hedgehog", "pile of leaves", "mushrooms", "squeeze", ("prickly", "round", "tiny")),
    ("mole", "tunnel", "potato stew", "dig dark", ("black", "velvety", "plump")),
    ("badger", "cellar", "turnips", "dig dark", ("striped", "sturdy", "gray")),
    ("cat", "basket", "salmon", "climb dark", ("orange", "black", "soft")),
    ("dog", "kennel", "sausages", "run swim", ("spotted", "brown", "shaggy")),
    ("pony", "stable", "apples", "run lift", ("brown", "gentle", "white")),
    ("goat", "shed", "clover", "climb", ("white", "bearded", "sturdy")),
    ("lamb", "barn", "fresh grass", "run", ("woolly", "white", "soft")),
    ("pig", "sty", "corn", "dig", ("pink", "round", "muddy")),
    ("elephant", "big tent", "peanuts", "lift", ("gray", "huge", "gentle")),
    ("monkey", "treehouse", "bananas", "climb", ("brown", "quick", "funny")),
    ("turtle", "hut of reeds", "lettuce", "swim", ("green", "slow", "old")),
    ("bat", "attic", "juicy figs", "fly dark", ("black", "tiny", "quiet")),
    ("crow", "tall pine", "walnuts", "fly", ("black", "shiny", "noisy")),
    ("hen", "coop", "sunflower seeds", "squeeze", ("speckled", "plump", "red")),
    ("donkey", "stall", "oats", "lift", ("gray", "patient", "shaggy")),
    ("raccoon", "hollow log", "pancakes", "climb dark", ("striped", "furry", "funny")),
    ("goose", "hut by the water", "barley", "swim fly", ("white", "loud", "proud")),
    ("deer", "quiet thicket", "sweet leaves", "run", ("slender", "brown", "graceful")),
)
CHILDREN = (
    ("house", "pancakes"), ("cottage", "noodles"), ("apartment", "tomato soup"),
    ("farmhouse", "apple pie"), ("cabin", "porridge"), ("brick house", "toast with jam"),
)
CHILD_LOOKS = ("little", "small", "young", "tall", "curly", "freckled")

# noun, what one does with it, the same in the past
THINGS = (
    ("kite", "fly it in the wind", "flew it in the wind"),
    ("ball", "kick it across the grass", "kicked it across the grass"),
    ("boat", "float it in a puddle", "floated it in a puddle"),
    ("drum", "beat it and march around", "beat it and marched around"),
    ("whistle", "blow it like a train", "blew it like a train"),
    ("lantern", "light it in the evening", "lit it in the evening"),
    ("storybook", "read it under a tree", "read it under a tree"),
    ("spinning top", "spin it on a flat stone", "spun it on a flat stone"),
    ("wagon", "pull it up and down the path", "pulled it up and down the path"),
    ("bell", "ring it at the gate", "rang it at the gate"),
    ("flute", "play songs on it", "played songs on it"),
    ("teddy bear", "hug it and tell it secrets", "hugged it and told it secrets"),
    ("toy train", "push it along the wall", "pushed it along the wall"),
    ("umbrella", "twirl it around and around", "twirled it around and around"),
    ("shovel", "dig deep holes with it", "dug deep holes with it"),
    ("telescope", "look at the moon with it", "looked at the moon with it"),
    ("marble", "roll it down a slope", "rolled it down a slope"),
    ("yo-yo", "make it jump up and down", "made it jump up and down"),
    ("jump rope", "skip with it and count", "skipped with it and counted"),
    ("paintbrush", "paint pictures with it", "painted pictures with it"),
    ("music box", "wind it up and hum along", "wound it up and hummed along"),
    ("toy truck", "carry pebbles in it", "carried pebbles in it"),
    ("puppet", "make it dance and talk", "made it dance and talk"),
    ("hat", "wear it and bow like a king", "wore it and bowed like a king"),
    ("ribbon", "wave it and dance", "waved it and danced"),
    ("rubber duck", "splash with it in the bath", "splashed with it in the bath"),
    ("scooter", "ride it as fast as a rabbit", "rode it as fast as a rabbit"),
    ("compass", "go exploring with it", "went exploring with it"),
    ("trumpet", "play a loud march on it", "played a loud march on it"),
    ("magnifying glass", "look at ants with it", "looked at ants with it"),
)
COLORS = (
    "red", "blue", "green", "yellow", "orange", "purple", "pink", "white", "silver", "golden",
    "striped", "brown", "black", "turquoise",
)
TREATS = (
    "cookies", "plums", "cherries", "muffins", "strawberries", "pears", "honey cakes", "apples",
    "grapes", "jam tarts", "peaches", "waffles", "cinnamon rolls", "raspberries", "gingerbread men",
    "dumplings", "oranges", "popcorn balls",
)

# name, how one is there, four places to hide
PLACES = (
    ("the pond", "at", ("among the reeds", "under a lily pad", "behind a wet stone",
                        "beside the little dock")),
    ("the forest", "in", ("under a fern", "behind an old oak", "in a hollow log",
                          "on a bed of moss")),
    ("the beach", "on", ("behind a sand castle", "in a rock pool", "under a heap of seaweed",
                         "beside a broken boat")),
    ("the farm", "on", ("in the hay", "behind the red barn", "under the tractor",
                        "beside the water trough")),
    ("the park", "in", ("under a bench", "behind the fountain", "beside the slide",
                        "in the sandbox")),
    ("the garden", "in", ("between the cabbages", "under a rose bush", "behind the watering can",
                          "among the tall beans")),
    ("the hill", "on", ("behind a boulder", "in the tall grass", "under a thorn bush",
                        "beside the wooden fence")),
    ("the river", "by", ("under the bridge", "on the muddy bank", "behind a fallen willow",
                         "between two flat rocks")),
    ("the meadow", "in", ("among the daisies", "under a big leaf", "behind a haystack",
                          "beside an ant hill")),
    ("the market", "at", ("under the fruit stand", "behind a barrel", "beside the baker's cart",
                          "in an empty crate")),
    ("the orchard", "in", ("under the tallest apple tree", "in a picking basket",
                           "behind the ladder", "among the windfall pears")),
    ("the playground", "on", ("under the swings", "behind the seesaw", "inside the tunnel",
                              "beside the climbing frame")),
    ("the old mill", "at", ("behind the water wheel", "under a sack of flour", "on the stone steps",
                            "beside the mill pond")),
    ("the harbor", "at", ("under a fishing net", "behind a coil of rope", "beside the lighthouse",
                          "in a rowboat")),
    ("the train station", "at", ("under the ticket window", "behind a suitcase",
                                 "beside the clock", "on a luggage cart")),
    ("the village square", "in", ("behind the statue", "under the bakery window", "beside the well",
                                  "in the flower bed")),
    ("the castle ruins", "in", ("behind a broken wall", "under the winding stairs",
                                "beside the iron gate", "in the dry moat")),
    ("the valley", "in", ("under the waterfall", "behind a mossy wall",
                          "among the blueberry bushes", "beside a stone hut")),
)

# What a day of this weather is like, what one wears, how it makes things go astray, how they are
# found again, and how the day ends.
WEATHERS = (
    {"weather": "windy",
     "day": "[It was a windy {time}|The wind was blowing hard that {time}|"
            "That {time} the wind shook every tree]",
     "wear": "a warm jacket",
     "loss": "A [strong|sudden] gust of wind [snatched|pulled] the {thing.noun} away",
     "found": "with dry leaves blown all over it",
     "end": "[The wind was only a breeze now|The wind grew gentle and warm]"},
    {"weather": "rainy",
     "day": "[It was a rainy {time}|That {time} the rain was falling softly|"
            "Gray clouds came that {time}, and it began to rain]",
     "wear": "rain boots",
     "loss": "The ground was [slippery|wet], and {hero} slipped and dropped the {thing.noun}",
     "found": "dripping wet",
     "end": "[The rain stopped, and a rainbow stood in the sky|"
            "The clouds went away, and the puddles shone]"},
    {"weather": "snowy",
     "day": "[It was a snowy {time}|That {time} fresh snow covered everything|"
            "That {time} big snowflakes were falling]",
     "wear": "thick mittens",
     "loss": "{hero.His} cold fingers let go, and the {thing.noun} sank into the snow",
     "found": "with a little cap of snow on it",
     "end": "[Snow began to fall again, soft and slow|The snow glittered under the first stars]"},
    {"weather": "foggy",
     "day": "[It was a foggy {time}|That {time} a thick fog hid the path|"
            "That {time} everything was gray with fog]",
     "wear": "a bright vest",
     "loss": "{hero} put the {thing.noun} down, and the fog swallowed it",
     "found": "shiny with tiny drops",
     "end": "[The fog lifted, and the sun came out|The fog was gone, and they could see far away]"},
    {"weather": "hot",
     "day": "[It was a hot {time}|That {time} the sun was burning|"
            "That {time} it was so hot that the birds were silent]",
     "wear": "a straw hat",
     "loss": "{hero} lay down in the shade to rest, and the {thing.noun} rolled away",
     "found": "warm from the sun",
     "end": "[A cool breeze came with the evening|The evening was cool at last]"},
    {"weather": "sunny",
     "day": "[It was a sunny {time}|That {time} the sky was blue|"
            "That {time} the sun was shining and the birds sang]",
     "wear": "new shoes",
     "loss": "{hero} ran after a butterfly and left the {thing.noun} behind",
     "found": "shining in the sun",
     "end": "[The sun went down, big and red|Soon the first stars came out]"},
)
TIMES = ("morning", "afternoon", "day", "Monday", "Tuesday", "Friday", "Saturday", "Sunday")
