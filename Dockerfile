# MSMorph with its weights inside: nothing is fetched at run time, and nothing is written but to
# the output folder, the work folder (/tmp/work unless -w names another) and /tmp.
#
#   docker build -t msmorph .                          # CPU
#   docker build -t msmorph --build-arg DEVICE=cuda .  # NVIDIA GPU, and CPU
#
# containers/check.sh builds and tries it where there is no Docker; docs/hpc.md says how to run it.
# Singularity.def does the same steps: tests/containers/ compares the two.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG DEVICE=cpu
# pip's own settings, for networks with a mirror or with a certificate of their own
ARG PIP_CERT
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
COPY . /opt/msmorph
RUN /opt/msmorph/containers/install.sh /opt/msmorph /opt/venv "${DEVICE}"

FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
# Any UID may run it: there need be no home, and libraries that ask for a user's name get one.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    MSMORPH_CONTAINER=docker:msmorph \
    HOME=/tmp \
    LOGNAME=msmorph \
    LC_ALL=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    NO_ET=1 \
    NIPYPE_NO_ET=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
WORKDIR /tmp
ENTRYPOINT ["msmorph"]
