# Minimal image of MSMorph: CPU, weights inside, nothing fetched at run time.
FROM python:3.11-slim-bookworm AS build
# PIP_CERT: path of a CA bundle, for networks whose proxy has its own.
ARG PIP_CERT
WORKDIR /opt/msmorph
COPY . .
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt torch==2.13.0 \
 && /opt/venv/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.11-slim-bookworm
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    MSMORPH_CONTAINER=docker \
    NO_ET=1
USER 1000
WORKDIR /tmp
ENTRYPOINT ["msmorph"]
