// A page with the real App SDK, bundled once and served on 127.0.0.1: another site than the sandbox's localhost, as in life.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

export interface ProbeApp {
  url: string
  /** Address of every page load, newest last: where the app-token arrives. */
  loads: URL[]
  close(): Promise<void>
}

export async function serveProbeApp(): Promise<ProbeApp> {
  const script = await bundle(fileURLToPath(new URL('./probe/probe.ts', import.meta.url)))
  const loads: URL[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    if (url.pathname === '/probe.js') {
      response.setHeader('content-type', 'text/javascript').end(script)
      return
    }
    loads.push(url)
    response.setHeader('content-type', 'text/html').end(page)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    loads,
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}

const page = `<!doctype html><html lang="en"><title>Probe</title><body style="font:14px system-ui"><p id="place">waiting</p>
<script type="module" src="/probe.js"></script>`

async function bundle(input: string): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: 'error',
    root: import.meta.dirname,
    build: { write: false, target: 'esnext', minify: false, rolldownOptions: { input } }
  })
  const [first] = [output].flat()
  if (!first || !('output' in first)) throw new Error('the probe was not bundled')
  return first.output[0].code
}
