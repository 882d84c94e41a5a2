// A MariaDB or MySQL for the tests that want one: TEST_MARIADB_URL, else root without a password on this machine's standard port.
// Where none answers, those tests are skipped and say why.
import { randomBytes } from 'node:crypto'
import mysql from 'mysql2/promise'

const server = process.env['TEST_MARIADB_URL'] ?? 'mysql://root@127.0.0.1:3306'

/** null, and a line that says so, where no server answers. */
export async function findMariadb(): Promise<string | null> {
  try {
    await administer('select 1')
    return server
  } catch (error) {
    const { host } = new URL(server)
    console.warn(`No MariaDB or MySQL at ${host} (${error instanceof Error ? error.message : 'no answer'}): its tests are skipped.`)
    return null
  }
}

/** An empty database with a user of its own, and how to be rid of both. */
export async function freshMariadb(): Promise<{ url: string; cleanup: () => Promise<void> }> {
  const name = `quayside_test_${randomBytes(6).toString('hex')}`
  const password = randomBytes(12).toString('hex')
  await administer(`create database ${name}`)
  // Servers that know an anonymous user of this machine would take us for that one.
  for (const host of ['%', 'localhost']) {
    await administer(`create user '${name}'@'${host}' identified by '${password}'`)
    await administer(`grant all on ${name}.* to '${name}'@'${host}'`)
  }
  const url = new URL(server)
  url.pathname = `/${name}`
  url.username = name
  url.password = password
  const cleanup = async (): Promise<void> => {
    await administer(`drop database if exists ${name}`)
    await administer(`drop user '${name}'@'%', '${name}'@'localhost'`)
  }
  return { url: url.href, cleanup }
}

async function administer(statement: string): Promise<void> {
  const connection = await mysql.createConnection({ uri: server, connectTimeout: 3_000 })
  try {
    await connection.query(statement)
  } finally {
    await connection.end()
  }
}
