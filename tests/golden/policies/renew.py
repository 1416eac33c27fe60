"""Write the tables anew: ``python -m tests.golden.policies.renew``. What has changed is then to be read, line by line."""

from tests.golden.policies.table import file_of, lines_of, names

if __name__ == "__main__":
    for name in names():
        file_of(name).write_text("".join(f"{line}\n" for line in lines_of(name)), encoding="utf-8")
