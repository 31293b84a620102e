import { defineConfig } from 'vitest/config';

// Each file starts a Splunk, a tenant and a browser of its own. They wait as much as they compute, so two go side by side.
export default defineConfig({
    test: {
        include: ['tests/journeys/**/*.test.ts'],
        environment: 'node',
        minWorkers: 1,
        maxWorkers: 2,
        testTimeout: 300_000,
        hookTimeout: 300_000,
        // A small machine that is busy elsewhere takes its time; what is wrong stays wrong for longer.
        expect: { poll: { timeout: 30_000 } },
        globalSetup: ['tests/journeys/bundle.ts'],
    },
});
