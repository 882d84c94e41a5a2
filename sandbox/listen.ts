// One host of the sandbox on `localhost`, which is two addresses: 127.0.0.1 and ::1, one port on both. The port is known before
// anything is served, because the rooms need each other's addresses. A machine without IPv6 gets the first only.
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { SandboxHost } from './faults.ts'

export interface Host {
  url: string
  port: number
  /** What answers from now on; before, every request gets 503. */
  serve(listener: RequestListener): void
  close(): Promise<void>
}

/** Thrown when a chosen port cannot be had; says which host wanted it and what to set. */
export class PortTaken extends Error {
  readonly host: SandboxHost
  readonly port: number

  constructor(host: SandboxHost, port: number, cause: unknown) {
    super(
      `Port ${port} (${host}) is already taken. Choose another first port with --port N or SANDBOX_PORT=N: the sandbox uses N to N+4. --port 0 takes free ones.`,
      { cause }
    )
    this.name = 'PortTaken'
    this.host = host
    this.port = port
  }
}

/** Port 0 takes a free one. Throws PortTaken. */
export async function openHost(name: SandboxHost, port: number): Promise<Host> {
  let listener: RequestListener = (_request, response) => void response.writeHead(503).end()
  const answer: RequestListener = (request, response) => listener(request, response)
  const servers = await bindBoth(name, port, answer)
  const bound = (servers[0]!.address() as AddressInfo).port
  return {
    url: `http://localhost:${bound}`,
    port: bound,
    serve(next) {
      listener = next
    },
    async close() {
      await Promise.all(servers.map(closeServer))
    }
  }
}

/** A free port on IPv4 may be taken on IPv6: then another is picked, a few times. */
async function bindBoth(name: SandboxHost, port: number, answer: RequestListener): Promise<Server[]> {
  for (let attempt = 1; ; attempt += 1) {
    const servers: Server[] = []
    try {
      servers.push(await listen(port, '127.0.0.1', answer))
      const bound = (servers[0]!.address() as AddressInfo).port
      const second = await listen(bound, '::1', answer).catch((error: unknown) => {
        if (codeOf(error) === 'EADDRNOTAVAIL' || codeOf(error) === 'EAFNOSUPPORT') return null
        throw error
      })
      if (second) servers.push(second)
      return servers
    } catch (error) {
      await Promise.all(servers.map(closeServer))
      if (codeOf(error) !== 'EADDRINUSE' && codeOf(error) !== 'EACCES') throw error
      if (port !== 0) throw new PortTaken(name, port, error)
      if (attempt === 10) throw error
    }
  }
}

function listen(port: number, address: string, answer: RequestListener): Promise<Server> {
  // Clients keep connections: a server that hangs up after the default 5 s makes them see resets nobody asked for.
  const server = createServer({ keepAliveTimeout: 65_000, noDelay: true }, answer)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host: address, ipv6Only: address === '::1' }, () => {
      server.off('error', reject)
      server.on('clientError', (_error, socket) => hangUp(socket as Socket))
      resolve(server)
    })
  })
}

function hangUp(socket: Socket): void {
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
  else socket.destroy()
}

function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : ''
