"""What happens to a pool from outside: answers, deaths, failed orders, opening and closing."""
