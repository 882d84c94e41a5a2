// What webhook-ack is read against: Express with one route that inserts the body as one row and answers. Ends with its parent.
import type { AddressInfo } from 'node:net'
import Database from 'better-sqlite3'
import express from 'express'

const database = new Database(process.argv[2] ?? ':memory:')
database.pragma('journal_mode = WAL')
database.pragma('synchronous = FULL')
database.exec('create table delivery (id integer primary key, body text not null, received_at integer not null)')
const insert = database.prepare('insert into delivery (body, received_at) values (?, ?)')
const keep = database.transaction((body: string) => insert.run(body, Date.now()))

const app = express()
app.disable('x-powered-by')
app.disable('etag')
app.post('/webhook', express.raw({ type: () => true, limit: '5mb' }), (request, response) => {
  keep.immediate((request.body as Buffer).toString('utf8'))
  response.status(202).json({ accepted: true })
})

const server = app.listen(0, '127.0.0.1', () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`)
})
process.once('disconnect', () => process.exit(0))
