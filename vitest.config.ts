import { defineConfig } from 'vitest/config';

/** End-to-end tests of several workers: each runs on native TensorFlow, and again on WebAssembly. */
const multiWorker = [
  'test/e2e/balance.test.ts',
  'test/e2e/chaos.test.ts',
  'test/e2e/hosts.test.ts',
  'test/e2e/ledger.test.ts',
  'test/e2e/pm2.test.ts',
  'test/e2e/resume.test.ts',
  'test/e2e/secure.test.ts',
  'test/e2e/trace.test.ts',
  'test/e2e/training.test.ts',
  'test/e2e/training-rules.test.ts',
  'test/fault/*.test.ts',
];

export default defineConfig({
  test: {
    pool: 'forks',
    // Two cores are the smallest machine that must pass: whole training runs compete for them.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    projects: [
      { extends: true, test: { name: 'auto', include: ['test/**/*.test.ts'] } },
      { extends: true, test: { name: 'wasm', include: multiWorker, env: { LOCKSTEP_ENGINE: 'wasm' } } },
    ],
  },
});
