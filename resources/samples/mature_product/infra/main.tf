# Storage, image repositories and roles of fraud-scoring.
# Applied by the platform pipeline after a reviewed plan: one state per account (-backend-config).

terraform {
  required_version = "1.13.4"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.14.1"
    }
  }
  backend "s3" {
    region       = "eu-central-1"
    key          = "fraud-scoring/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

variable "environment" {
  type = string
  validation {
    condition     = contains(["staging", "prod"], var.environment)
    error_message = "The environment is staging or prod."
  }
}

variable "cluster_oidc_provider" {
  type        = object({ arn = string, host = string })
  description = "OIDC provider of the Kubernetes cluster."
}

variable "github_oidc_provider_arn" {
  type = string
}

provider "aws" {
  region = "eu-central-1"
  default_tags {
    tags = { service = "fraud-scoring", environment = var.environment, owner = "fraud-platform" }
  }
}

locals {
  # Retention in days: conf/model.yaml, retention_days.
  buckets = {
    data     = { name = "northpay-fraud-data", days = 1100 }
    evidence = { name = "northpay-fraud-evidence", days = 3650 }
  }
  suffix = var.environment == "prod" ? "" : "-${var.environment}"
}

resource "aws_kms_key" "fraud" {
  description         = "fraud-scoring ${var.environment}"
  enable_key_rotation = true
}

resource "aws_s3_bucket" "this" {
  for_each            = local.buckets
  bucket              = "${each.value.name}${local.suffix}"
  object_lock_enabled = each.key == "evidence"
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.fraud.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each                = aws_s3_bucket.this
  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = aws_s3_bucket.this
  bucket   = each.value.id
  rule {
    id     = "retention"
    status = "Enabled"
    filter {}
    expiration {
      days = local.buckets[each.key].days
    }
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }
  dynamic "rule" {
    for_each = each.key == "data" ? [400] : []
    content {
      id     = "predictions"
      status = "Enabled"
      filter {
        prefix = "predictions/"
      }
      expiration {
        days = rule.value
      }
    }
  }
}

resource "aws_s3_bucket_object_lock_configuration" "evidence" {
  bucket = aws_s3_bucket.this["evidence"].id
  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = local.buckets.evidence.days
    }
  }
}

resource "aws_ecr_repository" "this" {
  for_each             = var.environment == "prod" ? toset(["fraud-scoring", "fraud-train"]) : toset([])
  name                 = each.key
  image_tag_mutability = "IMMUTABLE"
  image_scanning_configuration {
    scan_on_push = true
  }
}

# The service may write predictions, and nothing else.
data "aws_iam_policy_document" "pod" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [var.cluster_oidc_provider.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.cluster_oidc_provider.host}:sub"
      values   = ["system:serviceaccount:fraud-${var.environment}:fraud-scoring"]
    }
  }
}

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "write_predictions" {
  statement {
    actions = ["firehose:PutRecordBatch"]
    resources = [
      "arn:aws:firehose:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:deliverystream/fraud-predictions-${var.environment}"
    ]
  }
}

resource "aws_iam_role" "pod" {
  name               = "fraud-scoring-${var.environment}"
  assume_role_policy = data.aws_iam_policy_document.pod.json
}

resource "aws_iam_role_policy" "pod" {
  role   = aws_iam_role.pod.id
  policy = data.aws_iam_policy_document.write_predictions.json
}

# The release workflow: only from its GitHub environment, and only to reach the cluster
# (inside, the role is bound to the namespace fraud-<environment>).
data "aws_iam_policy_document" "deploy" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [var.github_oidc_provider_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:sub"
      values = [
        "repo:northpay/fraud-scoring:environment:${var.environment == "prod" ? "production" : "staging"}"
      ]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "describe_cluster" {
  statement {
    actions = ["eks:DescribeCluster"]
    resources = [
      "arn:aws:eks:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:cluster/payments-${var.environment}"
    ]
  }
}

resource "aws_iam_role" "deploy" {
  name               = "fraud-deploy-${var.environment}"
  assume_role_policy = data.aws_iam_policy_document.deploy.json
}

resource "aws_iam_role_policy" "deploy" {
  role   = aws_iam_role.deploy.id
  policy = data.aws_iam_policy_document.describe_cluster.json
}
