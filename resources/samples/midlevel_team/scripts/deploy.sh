#!/usr/bin/env bash
# Release the model of the current commit, or go back to the image of an earlier one.
#   scripts/deploy.sh            build, push and release the current commit
#   scripts/deploy.sh <commit>   release the image of that commit again
set -euo pipefail

readonly IMAGE=registry.example.com/forecasting/demand-forecast
readonly NAMESPACE=forecasting

if [[ $# -ge 1 ]]; then
  tag=$1
else
  if [[ -n "$(git status --porcelain)" ]]; then
    echo "There are uncommitted changes: commit or stash them first." >&2
    exit 1
  fi
  tag=$(git rev-parse --short HEAD)
  dvc pull models/model.joblib
  docker build --tag "$IMAGE:$tag" .
  docker push "$IMAGE:$tag"
fi

kubectl --namespace "$NAMESPACE" set image cronjob/demand-forecast "score=$IMAGE:$tag"
echo "demand-forecast now runs $IMAGE:$tag from the next Monday on."
