import tiktoken
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

words = Tokenizer(WordLevel({"[UNK]": 0, "a": 1, "latte": 2}, unk_token="[UNK]"))
words.pre_tokenizer = Whitespace()
pairs = tiktoken.Encoding("bytes", pat_str=r"\w+|\W+", mergeable_ranks={bytes([b]): b for b in range(256)}, special_tokens={})


def handler(event, context):
    return [words.encode(event).ids, [one.ids for one in words.encode_batch([event, "a"])], pairs.encode(event)]
