/** Statements of one database, each compiled once. */
import type { Database, Statement } from 'better-sqlite3';

export class Statements {
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();

  constructor(database: Database) {
    this.#database = database;
  }

  prepare<Bind extends unknown[] | object = unknown[], Row = unknown>(sql: string): Statement<Bind extends unknown[] ? Bind : [Bind], Row> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement as Statement<Bind extends unknown[] ? Bind : [Bind], Row>;
  }
}
