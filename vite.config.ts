// Builds ui/ for the server to serve, and names the two test projects: `node` (rooms, on real databases) and `flows`
// (whole travels through the running product, one file at a time because each starts a sandbox, a server and a browser).
import { availableParallelism } from 'node:os'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: 'ui',
  base: '/ui/',
  plugins: [react()],
  build: {
    outDir: '../dist/ui',
    emptyOutDir: true,
    sourcemap: true,
    rolldownOptions: { input: { extension: 'ui/extension.html', console: 'ui/console.html' } }
  },
  test: {
    root: '.',
    projects: [
      {
        test: {
          name: 'node',
          root: '.',
          include: ['test/**/*.test.ts'],
          exclude: ['test/flows/**'],
          globalSetup: ['test/support/postgres.setup.ts'],
          // Most of a test is waiting: for a database, the wire, a process. Three at once take half the time on two cores.
          maxWorkers: Math.max(3, availableParallelism() - 1),
          testTimeout: 30_000,
          hookTimeout: 60_000
        }
      },
      {
        test: {
          name: 'flows',
          root: '.',
          include: ['test/flows/**/*.test.ts'],
          globalSetup: ['test/support/postgres.setup.ts', 'test/support/build.setup.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
