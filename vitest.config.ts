import { defineConfig } from 'vitest/config';
import { suites } from './test/suites.js';

export default defineConfig({
  test: {
    pool: 'forks',
    // Two cores are the smallest machine that must pass: whole training runs compete for them.
    maxWorkers: 2,
    // Guards against a hang, never a measure of speed: a slow machine must pass.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 30_000,
    projects: Object.entries(suites).map(([name, { include, exclude }]) => ({
      extends: true as const,
      test: {
        name,
        include,
        exclude,
        isolate: name !== 'unit',
        env: name.endsWith('-wasm') ? { LOCKSTEP_ENGINE: 'wasm' } : {},
      },
    })),
  },
});
