// The demo's outside system: a SQL database with a real table in it, all countries of the world (npm `world-countries`, data
// by mledoze, ODbL). Quayside reads it as it would read anybody's table.
import { createRequire } from 'node:module'
import Database from 'better-sqlite3'

interface Country {
  name: { common: string }
  cca3: string
  capital: string[]
  region: string
  languages: Record<string, string>
  independent: boolean | null
  area: number
  latlng: [number, number]
  flag: string
}

/** Writes table `countries` into the SQLite file, unless it stands there; returns how many rows. */
export function writeCountries(file: string): number {
  const countries = createRequire(import.meta.url)('world-countries') as Country[]
  const database = new Database(file)
  try {
    database.exec(`create table if not exists countries (
      code text primary key, title text not null, capital text, region text not null, languages text, independent boolean,
      area real, latitude real, longitude real, flag text
    )`)
    const insert = database.prepare('insert or ignore into countries values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
    database.transaction(() => {
      for (const country of countries) {
        insert.run(
          country.cca3,
          country.name.common,
          country.capital.join(', '),
          country.region,
          Object.values(country.languages).join(', '),
          country.independent ? 1 : 0,
          country.area,
          country.latlng[0],
          country.latlng[1],
          country.flag
        )
      }
    })()
  } finally {
    database.close()
  }
  return countries.length
}
