import boto3

s3 = boto3.client("s3")
queue = boto3.client("sqs")
tables = boto3.resource("dynamodb")
functions = boto3.client("lambda")
tokens = boto3.client("sts")


def handler(event, context):
    s3.put_object(Bucket="bucket", Key=event, Body=event.encode())
    body = s3.get_object(Bucket="bucket", Key=event)["Body"].read().decode()
    tables.Table("orders").put_item(Item={"id": event})
    queue.send_message(QueueUrl=queue.meta.endpoint_url + "/1/orders", MessageBody=event)
    functions.invoke(FunctionName="other", InvocationType="Event", Payload=b"{}")
    events = boto3.client("events")
    events.put_events(Entries=[{"Source": "shop", "DetailType": "order", "Detail": "{}"}])
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": event})
    return [body, tokens.meta.region_name, "AKIDEXAMPLE" in url]
