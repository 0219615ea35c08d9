"""Texts that the managed runtime logs."""

lambda_warning = "LAMBDA_WARNING"

_PREVIEW_DOC_LINK = "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html"
_PREVIEW_DOC_LINK_CN = "https://docs.amazonaws.cn/lambda/latest/dg/lambda-runtimes.html"


def _get_preview_doc_link():
    import os

    is_china = os.environ.get("AWS_REGION", "").startswith("cn-")
    return _PREVIEW_DOC_LINK_CN if is_china else _PREVIEW_DOC_LINK


def get_lambda_preview_runtime_warning_message():
    return (
        f"{lambda_warning}: This is a preview runtime version and should not be used for production workloads. "
        f"For further information and to provide feedback, see {_get_preview_doc_link()}\r"
    )


lambda_unhandled_exception_warning_message = (
    f"{lambda_warning}: Unhandled exception. The most likely cause is an issue in the function code. However, in rare cases, "
    "a Lambda runtime update can cause unexpected function behavior. For functions using managed runtimes, runtime updates "
    "can be triggered by a function change, or can be applied automatically. To determine if the runtime has been updated, "
    "check the runtime version in the INIT_START log entry. If this error correlates with a change in the runtime version, "
    "you may be able to mitigate this error by temporarily rolling back to the previous runtime version. For more "
    "information, see https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html\r"
)
