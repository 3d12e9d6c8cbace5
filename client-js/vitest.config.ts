import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A watchdog: tests wait for events, never for time.
    testTimeout: 30_000,
  },
});
