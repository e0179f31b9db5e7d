"""The translated template with every condition decided and every reference filled in."""

import re
from collections.abc import Mapping
from typing import Any

from tests.aws import REGION, template
from tests.infra.translated import Resources, translated

ACCOUNT = "123456789012"
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "stack",
}
_NOTHING = object()
_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")

EVERYTHING: Mapping[str, Any] = {
    "ApiBaseUrl": "https://gateway.example",
    "ApiKeySecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:key-AbCdEf",
    "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "NotificationEmail": "somebody@example.com",
    "PermissionsBoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
    "PollMinutes": 2,
    "ReserveTimers": "true",
    "SecurityGroupIds": ["sg-0123456789abcdef0"],
    "SubnetIds": ["subnet-0123456789abcdef0"],
}
"""A value for each parameter that is empty otherwise."""

_ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::Events::EventBus": "arn:aws:events:{region}:{account}:event-bus/{name}",
    "AWS::Events::Rule": "arn:aws:events:{region}:{account}:rule/docmill/{name}",
    "AWS::IAM::ManagedPolicy": "arn:aws:iam::{account}:policy/{name}",
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SNS::Topic": "arn:aws:sns:{region}:{account}:{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf",
}
_NAMES = {
    "AWS::Events::EventBus": "Name",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SQS::Queue": "QueueName",
}
_REF_IS_ARN = {"AWS::IAM::ManagedPolicy", "AWS::SNS::Topic", "AWS::SecretsManager::Secret"}


class Stack:
    """The template under given parameters; those left out have their defaults.

    `names` are those that resources got where it is deployed, by their logical ones.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any] | None = None,
        *,
        account: str = ACCOUNT,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._source = translated()
        self._pseudo = _PSEUDO | {"AWS::AccountId": account}
        self._names = names or {}
        declared = template()["Parameters"]
        self._values: dict[str, Any] = {
            name: [each for each in str(parameter["Default"]).split(",") if each]
            if parameter["Type"] == "CommaDelimitedList"
            else parameter["Default"]
            for name, parameter in declared.items()
        }
        self._values |= parameters or {}
        self.resources: Resources = {
            name: self._resolved({key: resource[key] for key in resource if key != "Condition"})
            for name, resource in self._source["Resources"].items()
            if "Condition" not in resource or self._holds(resource["Condition"])
        }

    def arn(self, name: str) -> str:
        """A resource's ARN."""
        kind = self._source["Resources"][name]["Type"]
        account = self._pseudo["AWS::AccountId"]
        return _ARNS[kind].format(region=REGION, account=account, name=self.name(name))

    def name(self, name: str) -> str:
        """A resource's name: the one it got, else the one of the template, else its logical one."""
        if name in self._names:
            return self._names[name]
        resource = self._source["Resources"][name]
        given = resource["Properties"].get(_NAMES.get(resource["Type"], ""), name)
        return str(self._resolved(given))

    def _holds(self, condition: str) -> bool:
        found: bool = self._resolved(self._source["Conditions"][condition])
        return found

    def _resolved(self, value: Any) -> Any:
        match value:
            case list():
                found = [self._resolved(each) for each in value]
                return [each for each in found if each is not _NOTHING]
            case {"Condition": str(name)} if len(value) == 1:
                return self._holds(name)
            case dict() if len(value) == 1 and (next(iter(value)) == "Ref" or "Fn::" in str(value)):
                [(function, argument)] = value.items()
                if function == "Ref" or function.startswith("Fn::"):
                    return self._called(function, argument)
        if isinstance(value, dict):
            pairs = {name: self._resolved(each) for name, each in value.items()}
            return {name: each for name, each in pairs.items() if each is not _NOTHING}
        return value

    def _called(self, function: str, argument: Any) -> Any:
        match function:
            case "Ref":
                return self._referred(argument)
            case "Fn::GetAtt":
                name, attribute = argument
                return self.arn(name) if attribute == "Arn" else self.name(name)
            case "Fn::Sub":
                return _PLACEHOLDER.sub(lambda found: str(self._named(found[1])), argument)
            case "Fn::If":
                condition, yes, no = argument
                return self._resolved(yes if self._holds(condition) else no)
            case "Fn::Not":
                return not self._resolved(argument[0])
            case "Fn::Equals":
                one, other = map(self._resolved, argument)
                return str(one) == str(other)
            case "Fn::Join":
                return argument[0].join(self._resolved(argument[1]))
        raise NotImplementedError(function)

    def _named(self, name: str) -> Any:
        resource, dot, attribute = name.partition(".")
        return self._called("Fn::GetAtt", [resource, attribute]) if dot else self._referred(name)

    def _referred(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._values:
            return self._values[name]
        kind = self._source["Resources"][name]["Type"]
        return self.arn(name) if kind in _REF_IS_ARN else self.name(name)
