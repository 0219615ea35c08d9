from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel

prompt = ChatPromptTemplate.from_messages([("system", "You sell coffee."), ("human", "{order}")])
chain = prompt | FakeListChatModel(responses=["a latte"]) | StrOutputParser()
both = RunnableParallel(said=chain, size=RunnableLambda(lambda given: len(given["order"])))


def handler(event, context):
    return both.invoke({"order": event})
