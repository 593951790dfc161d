from typeddingo import App

app = App("local")  # in this process: no server, nothing to configure


@app.task
def add(a: int, b: int) -> int:
    return a + b


with app:
    print("sum:", add.call(2, 3).get(timeout=5))
