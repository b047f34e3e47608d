#!/bin/sh
# Makes the secrets of a cluster as files in deploy/secrets/, once. It never overwrites any: a cluster whose key changes
# under way falls apart.
set -eu
cd "$(dirname "$0")"

if [ -e secrets ]; then
  echo "make-secrets: deploy/secrets is there already and stays as it is; docs/deploy.md says how to change secrets" >&2
  exit 1
fi
# Of two calls at once one fails here, so that they cannot mix their secrets.
mkdir -m 700 secrets
trap 'rm -rf secrets' EXIT

# 256 random bits as 64 hexadecimal digits.
random() {
  od -An -vtx1 -N32 /dev/urandom | tr -d ' \n'
}

node_password=$(random)
client_password=$(random)
random >secrets/cluster-key
random >secrets/api-token
printf '%s' "$node_password" >secrets/nats-node-password
printf '%s' "$client_password" >secrets/nats-client-password
printf 'NODE_PASSWORD: "%s"\nCLIENT_PASSWORD: "%s"\n' "$node_password" "$client_password" >secrets/nats-passwords.conf

for secret in cluster-key api-token nats-node-password nats-client-password; do
  [ "$(wc -c <"secrets/$secret")" -eq 64 ] || { echo "make-secrets: /dev/urandom gave too little" >&2; exit 1; }
done

# The folder keeps other users of this machine out; inside a container another user than ours reads the single files.
chmod 444 secrets/*
trap - EXIT
echo "make-secrets: made in deploy/secrets: cluster-key, api-token, nats-node-password, nats-client-password, nats-passwords.conf"
