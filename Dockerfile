# The server form's one image: web, worker, beat and set-up are commands of it (docker-compose.yml).

FROM node:22.21.1-slim AS assets
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.11.14-slim AS build
WORKDIR /app
COPY requirements.txt ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY client client
RUN /venv/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-deps --wheel-dir /wheel ./client

FROM python:3.11.14-slim
RUN useradd --system --uid 10001 --home-dir /data platform && install -d -o platform -g platform -m 0700 /data
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DATA_DIR=/data
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=assets /app/node_modules node_modules
COPY --from=build /wheel client/dist
COPY manage.py gunicorn.conf.py ./
COPY deploy/beat_is_alive.py deploy/
COPY static static
COPY templates templates
COPY accounts accounts
COPY alerts alerts
COPY projects projects
COPY experiments experiments
COPY hypotheses hypotheses
COPY metrics metrics
COPY operations operations
COPY config config
# Collected once; then the product serves from there and looks nowhere else.
RUN mkdir .static && DATA_DIR=/tmp/build python manage.py collectstatic --noinput --verbosity 0 && rm -r /tmp/build && chmod -R a+rX .static
USER platform
VOLUME /data
EXPOSE 8000
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "config.wsgi"]
