import spacy

nlp = spacy.blank("en")
nlp.add_pipe("sentencizer")


def handler(event, context):
    document = nlp(event)
    return [[token.text for token in document], [sentence.text for sentence in document.sents]]
