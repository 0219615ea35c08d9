import pytest
from whipsnake.testing import InitError


@pytest.fixture
def runtime(whipsnake_runtime):
    return whipsnake_runtime(environment={"TABLE": "orders"})


def messages(*bodies):
    numbered = enumerate(bodies, 1)
    return {"Records": [{"messageId": f"m-{n}", "body": body} for n, body in numbered]}


def test_an_order_goes_to_the_table(runtime):
    result = runtime.invoke(messages('{"id": 7}'))
    assert result.response == {"batchItemFailures": []}
    (record,) = result.logs.records
    assert (record.level, record.message) == ("INFO", "order 7 goes to orders")


def test_what_is_no_order_comes_again(runtime):
    result = runtime.invoke(messages('{"id": 7}', "[]", '{"id": 8}', "?"))
    assert result.response == {
        "batchItemFailures": [{"itemIdentifier": "m-2"}, {"itemIdentifier": "m-4"}]
    }


def test_messages_that_there_is_no_time_for_come_again(runtime):
    result = runtime.invoke(messages('{"id": 7}', '{"id": 8}'), timeout=0.9)
    assert len(result.response["batchItemFailures"]) == 2


def test_an_event_of_another_kind_is_a_fault(runtime):
    fault = runtime.invoke({"detail": {}}).fault
    assert fault.error_type == "KeyError"
    assert "lambda_handler" in fault.stack_trace[0]


def test_without_a_table_it_does_not_start(whipsnake_runtime):
    with pytest.raises(InitError, match="KeyError: 'TABLE'"):
        whipsnake_runtime()
