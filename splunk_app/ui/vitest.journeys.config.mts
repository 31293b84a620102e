import { defineConfig } from 'vitest/config';

// Each journey starts a Splunk, a tenant and a browser of its own; a small machine has room for one at a time.
export default defineConfig({
    test: {
        include: ['tests/journeys/**/*.test.ts'],
        environment: 'node',
        fileParallelism: false,
        testTimeout: 300_000,
        hookTimeout: 300_000,
        // A small machine that is busy elsewhere takes its time; what is wrong stays wrong for longer.
        expect: { poll: { timeout: 30_000 } },
        globalSetup: ['tests/journeys/bundle.ts'],
    },
});
