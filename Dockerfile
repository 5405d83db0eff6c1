# The command `nightlabel`, with everything that it needs but the weights; without the extras `int8` and `parquet`.
FROM python:3.11-slim

# libgomp: torch, when a model is prepared.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /src
# Every package: `.dockerignore` says what is left out.
COPY . .

# Preparing a model needs torch, but no GPU: the CPU build is a tenth of the size.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --extra-index-url ${TORCH_INDEX} .

# Files of strangers are decoded here: not as root.
RUN useradd --create-home nightlabel \
 && install -d -o nightlabel /models
USER nightlabel
WORKDIR /home/nightlabel
ENV NIGHTLABEL_CACHE_DIR=/models

ENTRYPOINT ["nightlabel"]
CMD ["--help"]
