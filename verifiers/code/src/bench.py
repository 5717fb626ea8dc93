"""Ordinary work of pure Python, timed by its processor seconds: relates fuel to native time."""

import time
from collections import Counter

start = time.process_time()


def loop(n):
    s = 0
    for i in range(n):
        s = (s * 31 + i) % 1000003
        if s & 1:
            s ^= 5
    return s


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def add(self, other):
        return Point(self.x + other.x, self.y + other.y)


def table(n):
    counts = {}
    for i in range(n):
        counts[i % 1000] = counts.get(i % 1000, 0) + i
    return sorted((i * 7919) % 10007 for i in range(n))[5] + len(counts)


def words(n):
    every = [str(i * 7) for i in range(n)]
    joined = " ".join(w[::-1].upper() for w in every)
    return sum(len(w) for w in joined.split()) + Counter("".join(every))["1"]


def best(n):
    dp = [0] * 1000
    for k in range(n):
        for j in range(1, 1000):
            dp[j] = max(dp[j], dp[j - 1] + (k ^ j) % 7)
    return dp[-1]


loop(1000000)
fib(22)
point, step = Point(0, 0), Point(1, 2)
for _ in range(150000):
    point = point.add(step)
table(200000)
words(60000)
best(150)
print(time.process_time() - start)
