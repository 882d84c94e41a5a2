// What a person types to reach a SQL database. No secret stands here: the password is sealed apart, by name.
import { z } from 'zod'

const Sqlite = z
  .strictObject({
    system: z.literal('sqlite').describe('SQLite'),
    file: z.string().trim().min(1).max(500).describe("File, under the operator's directory")
  })
  // Tells the form that this system asks for no password.
  .meta({ secrets: [] })

const Postgres = z.strictObject({
  system: z.literal('postgres').describe('PostgreSQL'),
  host: z.string().trim().min(1).max(253).describe('Host'),
  port: z.number().int().min(1).max(65_535).default(5432).describe('Port'),
  database: z.string().trim().min(1).max(63).describe('Database'),
  user: z.string().trim().min(1).max(63).describe('User'),
  ssl: z
    .enum(['off', 'require', 'verify'])
    .default('off')
    .meta({ title: 'TLS', description: 'off, require (any certificate), verify (certificate must be valid)' })
})

const Mysql = z
  .strictObject({
    system: z.literal('mysql').describe('MariaDB or MySQL'),
    host: z.string().trim().min(1).max(253).describe('Host'),
    port: z.number().int().min(1).max(65_535).default(3306).describe('Port'),
    database: z.string().trim().min(1).max(64).describe('Database'),
    user: z.string().trim().min(1).max(80).describe('User'),
    ssl: z
      .enum(['off', 'require', 'verify'])
      .default('off')
      .meta({ title: 'TLS', description: 'off, require (any certificate), verify (certificate must be valid)' })
  })
  // Unlike the others no test run brings one along.
  .meta({ support: 'a real MariaDB, where one runs' })

export const SqlSettings = z.discriminatedUnion('system', [Sqlite, Postgres, Mysql])
export type SqlSettings = z.infer<typeof SqlSettings>
export type SqliteSettings = z.infer<typeof Sqlite>
export type PostgresSettings = z.infer<typeof Postgres>
export type MysqlSettings = z.infer<typeof Mysql>
