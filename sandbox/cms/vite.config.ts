// Builds the CMS page for the sandbox's application host, which serves dist/cms. No fonts, no requests beyond the sandbox.
import { join } from 'node:path'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  plugins: [react()],
  build: { outDir: join(import.meta.dirname, '../../dist/cms'), emptyOutDir: true, assetsDir: 'page' }
})
