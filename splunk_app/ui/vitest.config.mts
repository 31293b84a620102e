import { defineConfig } from 'vitest/config';

export default defineConfig({
    test: { include: ['src/**/*.test.ts', 'src/**/*.test.tsx', 'tests/stand-in/**/*.test.ts'], environment: 'node' },
});
