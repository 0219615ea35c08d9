//! The sample events, each a file in `events/`.

/// An event as a service sends it.
pub struct Sample {
    /// What to ask for.
    pub name: &'static str,
    /// What else people call it.
    pub aliases: &'static [&'static str],
    /// Whose event it is, in a few words.
    pub about: &'static str,
    /// Who wrote it.
    pub origin: Origin,
    /// The event.
    pub json: &'static str,
}

/// Who wrote an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// AWS SAM CLI, see `events/README.md`.
    SamCli,
    /// This project, after the shapes that AWS documents.
    Whipsnake,
}

impl Sample {
    /// The name and the other names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }
}

macro_rules! samples {
    ($($origin:ident $file:literal: $name:literal $([$($alias:literal),+])? $about:literal,)+) => {
        /// All of them, in the order in which they are listed.
        pub static SAMPLES: &[Sample] = &[$(Sample {
            name: $name,
            aliases: &[$($($alias),+)?],
            about: $about,
            origin: Origin::$origin,
            json: include_str!(concat!("../../events/", $file, ".json")),
        },)+];
    };
}

samples! {
    SamCli "apigateway-v2": "apigw-v2" ["apigateway-v2", "http-api"] "API Gateway, HTTP API: payload format 2.0",
    SamCli "apigateway-v1": "apigw-v1" ["apigateway-v1", "rest-api"] "API Gateway, REST API: payload format 1.0",
    Whipsnake "services/apigateway-websocket": "apigw-websocket" ["websocket"] "API Gateway, WebSocket API: a message",
    Whipsnake "services/apigateway-websocket-connect": "apigw-websocket-connect" "API Gateway, WebSocket API: a connection",
    Whipsnake "services/apigateway-authorizer-token": "apigw-authorizer-token" "API Gateway, REST API: a TOKEN authorizer",
    Whipsnake "services/apigateway-authorizer-v1": "apigw-authorizer-v1" "API Gateway, REST API: a REQUEST authorizer",
    Whipsnake "services/apigateway-authorizer-v2": "apigw-authorizer-v2" "API Gateway, HTTP API: an authorizer, format 2.0",
    Whipsnake "services/function-url": "function-url" ["url"] "Function URL: an HTTP request",
    Whipsnake "services/alb": "alb" ["elb"] "Application Load Balancer: an HTTP request",
    Whipsnake "services/vpc-lattice": "vpc-lattice" ["lattice"] "VPC Lattice: an HTTP request, format 2.0",
    SamCli "s3": "s3" ["s3-put"] "S3: an object was created",
    Whipsnake "services/s3-delete": "s3-delete" "S3: an object was deleted",
    Whipsnake "services/s3-eventbridge": "s3-eventbridge" "S3 through EventBridge: an object was created",
    Whipsnake "services/s3-batch": "s3-batch" "S3 Batch Operations: a task",
    Whipsnake "services/s3-object-lambda": "s3-object-lambda" "S3 Object Lambda: GetObject",
    SamCli "sqs": "sqs" "SQS: a message",
    Whipsnake "services/sqs-batch": "sqs-batch" "SQS: three messages, for partial batch responses",
    Whipsnake "services/sqs-fifo": "sqs-fifo" "SQS: messages of a FIFO queue",
    Whipsnake "services/sns": "sns" "SNS: a notification",
    Whipsnake "services/dynamodb": "dynamodb" ["ddb", "dynamodb-stream"] "DynamoDB Streams: an item inserted, changed, removed",
    Whipsnake "services/kinesis": "kinesis" "Kinesis Data Streams: a record",
    Whipsnake "services/firehose": "firehose" "Data Firehose: records to transform",
    Whipsnake "services/eventbridge-custom": "eventbridge" ["events"] "EventBridge: an event of an application",
    SamCli "eventbridge": "scheduled" ["cron", "schedule"] "EventBridge: a schedule",
    Whipsnake "services/ec2-state-change": "ec2" ["ec2-state-change"] "EC2 through EventBridge: an instance changed its state",
    Whipsnake "services/cloudwatch-logs": "cloudwatch-logs" ["logs"] "CloudWatch Logs: a subscription's log events",
    Whipsnake "services/cloudwatch-alarm": "cloudwatch-alarm" ["alarm"] "CloudWatch: an alarm's action",
    Whipsnake "services/cognito-pre-sign-up": "cognito-pre-sign-up" ["cognito"] "Cognito: before a user signs up",
    Whipsnake "services/cognito-post-confirmation": "cognito-post-confirmation" "Cognito: a user has confirmed",
    Whipsnake "services/cognito-pre-token-generation": "cognito-pre-token-generation" "Cognito: before tokens are made, format 2",
    Whipsnake "services/cognito-custom-message": "cognito-custom-message" "Cognito: a message to a user",
    Whipsnake "services/cloudfront-viewer-request": "cloudfront" ["cloudfront-viewer-request"] "CloudFront, Lambda@Edge: a viewer's request",
    Whipsnake "services/cloudfront-origin-response": "cloudfront-origin-response" "CloudFront, Lambda@Edge: an origin's response",
    Whipsnake "services/ses": "ses" ["email"] "SES: a mail was received",
    Whipsnake "services/lex-v2": "lex" ["lex-v2"] "Lex V2: an intent to fulfil",
    Whipsnake "services/msk": "msk" "Managed Streaming for Kafka: a record",
    Whipsnake "services/kafka": "kafka" "A Kafka of one's own: a record",
    Whipsnake "services/mq-activemq": "activemq" ["mq", "mq-activemq"] "MQ, ActiveMQ: a message",
    Whipsnake "services/mq-rabbitmq": "rabbitmq" ["mq-rabbitmq"] "MQ, RabbitMQ: a message",
    Whipsnake "services/documentdb": "documentdb" "DocumentDB: a change stream's event",
    Whipsnake "services/iot": "iot" ["iot-button"] "IoT: a button was pressed",
    Whipsnake "services/config": "config" "Config: a rule is evaluated",
    Whipsnake "services/codepipeline": "codepipeline" "CodePipeline: a job",
    Whipsnake "services/cloudformation": "cloudformation" ["custom-resource"] "CloudFormation: a custom resource is created",
    Whipsnake "services/secretsmanager-rotation": "secretsmanager" ["rotation"] "Secrets Manager: a rotation's step",
    Whipsnake "services/appsync": "appsync" ["graphql"] "AppSync: a direct resolver",
    Whipsnake "services/alexa-skill": "alexa" "Alexa Skills Kit: an intent",
    Whipsnake "services/connect": "connect" "Connect: a contact flow",
    Whipsnake "services/bedrock-agent": "bedrock-agent" ["bedrock"] "Bedrock Agents: an action group's API operation",
}

#[cfg(test)]
mod tests {
    use super::SAMPLES;
    use std::collections::HashSet;

    #[test]
    fn every_sample_is_json_and_has_names_of_its_own() {
        let mut names = HashSet::new();
        for sample in SAMPLES {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(sample.json);
            assert!(parsed.is_ok_and(|event| event.is_object()), "{}", sample.name);
            for name in sample.names() {
                assert!(names.insert(name), "{name} is the name of two");
            }
        }
    }
}
