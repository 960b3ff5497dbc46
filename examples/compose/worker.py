"""Each second takes the visits that wait in Redis and records them in PostgreSQL."""

import time

import cache
import psycopg2


def record(visitor: str) -> None:
    with psycopg2.connect(connect_timeout=5) as database, database.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS visits (at timestamptz DEFAULT now(), visitor text)")
        cursor.execute("INSERT INTO visits (visitor) VALUES (%s)", (visitor,))


while True:
    try:
        while visitor := cache.ask("LINDEX", "queue", "-1"):
            record(visitor)
            cache.ask("RPOP", "queue")  # only now: a visit that could not be recorded waits
            print(f"recorded a visit of {visitor}")
    except (OSError, psycopg2.Error) as error:
        print(f"next time: {error}")
    time.sleep(1)
